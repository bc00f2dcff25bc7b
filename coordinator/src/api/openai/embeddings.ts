import { EmbeddingRequest } from '@lai/shared/openai';
import { refuseAddressesInChat } from './addresses.ts';
import { type JsonBody, readJsonBody } from './body.ts';
import { BytesCollector } from './collect-bytes.ts';
import { vectorsAs } from './embedding-vectors.ts';
import { embeddingTarget, longestText, plainConversation } from './needs.ts';
import { plainSignals } from './question-signals.ts';
import { type Call, type Door, type Question, serve } from './serve.ts';
import { collected } from './wording.ts';

/** `POST /v1/embeddings`. Base64 is the SDK's default, floats are what other clients ask for; not every runtime heeds the wish. */
export const embeddings = async (call: Call, door: Door): Promise<void> => {
  const body = await readJsonBody(call.request, EmbeddingRequest, { maxTextBytes: door.maxTextBodyBytes });
  return serve(call, door, embeddingQuestion(body), collected(embeddingCollector(body.value)));
};

export const embeddingQuestion = (body: JsonBody<EmbeddingRequest>): Question => {
  // Some runtimes also embed what is written like a chat, images included.
  refuseAddressesInChat(body.value['messages']);
  return {
    route: 'embeddings',
    target: embeddingTarget(body.value),
    // Nothing of it stays in a cache.
    conversation: plainConversation(body.value.user, ''),
    signals: plainSignals(longestText(body.value.input), 0),
    bodyFor: body.forEngine({}),
  };
};

export const embeddingCollector = ({ encoding_format, dimensions }: EmbeddingRequest) => {
  const collector = new BytesCollector();
  return {
    push: (bytes: Uint8Array) => collector.push(bytes),
    finish: () => vectorsAs(collector.bytes(), { encoding: encoding_format ?? 'float', dimensions: dimensions ?? null }),
  };
};
