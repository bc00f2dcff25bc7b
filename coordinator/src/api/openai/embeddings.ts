import { EmbeddingRequest } from '@lai/shared/openai';
import { readJsonBody } from './body.ts';
import { BytesCollector } from './collect-bytes.ts';
import { inEncoding } from './embedding-vectors.ts';
import { embeddingTarget, plainConversation } from './needs.ts';
import { type Call, type Door, serve } from './serve.ts';
import { collected } from './wording.ts';

/** `POST /v1/embeddings`. Base64 is the SDK's default, floats are what other clients ask for; not every runtime heeds the wish. */
export const embeddings = async (call: Call, door: Door): Promise<void> => {
  const body = await readJsonBody(call.request, EmbeddingRequest, { maxTextBytes: door.maxTextBodyBytes });
  const { value } = body;
  const collector = new BytesCollector();
  const question = {
    route: 'embeddings',
    target: embeddingTarget(value),
    // Nothing of it stays in a cache.
    conversation: plainConversation(value.user, ''),
    bodyFor: (model: string) => body.with({ model }),
  } as const;
  const encoding = value.encoding_format ?? 'float';
  await serve(
    call,
    door,
    question,
    collected({ push: (bytes) => collector.push(bytes), finish: () => inEncoding(collector.bytes(), encoding) }),
  );
};
