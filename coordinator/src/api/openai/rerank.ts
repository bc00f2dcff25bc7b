import { RerankRequest } from '@lai/shared/openai';
import { refuseAddresses } from './addresses.ts';
import { readJsonBody } from './body.ts';
import { BytesCollector } from './collect-bytes.ts';
import { rerankTarget } from './needs.ts';
import { plainSignals } from './question-signals.ts';
import { type Call, type Door, serve } from './serve.ts';
import { collected } from './wording.ts';

/** `POST /v1/rerank`, in the shape that llama-server and vLLM share. */
export const rerank = async (call: Call, door: Door): Promise<void> => {
  const body = await readJsonBody(call.request, RerankRequest, { maxTextBytes: door.maxTextBodyBytes });
  refuseAddresses(body.value.documents);
  const collector = new BytesCollector();
  const question = {
    route: 'rerank',
    target: rerankTarget(body.value),
    conversation: null,
    signals: plainSignals(body.value.query.length, 0),
    bodyFor: body.forEngine({}),
  } as const;
  return serve(call, door, question, collected({ push: (bytes) => collector.push(bytes), finish: () => collector.bytes() }));
};
