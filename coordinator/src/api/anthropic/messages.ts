import { CountTokensRequest, MessagesRequest } from '@lai/shared/anthropic';
import { readJsonBody } from '../openai/body.ts';
import { type ChatDelta, ChatDeltas } from '../openai/chat-deltas.ts';
import { chatQuestion } from '../openai/chat-question.ts';
import { ignoredHeader } from '../openai/field-table.ts';
import { canThink } from '../openai/models.ts';
import { writeJson } from '../openai/respond.ts';
import { type Call, type Door, serve } from '../openai/serve.ts';
import { sseWording, type Wording } from '../openai/wording.ts';
import { estimatedTokens } from './count-tokens.ts';
import { anthropicError } from './error-envelope.ts';
import { chatFromMessages, ignoredInMessages } from './messages-input.ts';
import { MessageComposer } from './messages-output.ts';

/** `POST /v1/messages`: said to the runtime as chat, and its answer said back as a message. */
export const messages = async (call: Call, door: Door): Promise<void> => {
  const { value: request } = await readJsonBody(call.request, MessagesRequest, { maxTextBytes: door.maxTextBodyBytes });
  const composer = new MessageComposer({ model: request.model ?? 'auto', inputTokens: estimatedTokens(request) });
  const able = { canThink: canThink(door.registry.list(), request.model) };
  const headers = { 'request-id': call.requestId, ...ignoredHeader(ignoredInMessages(request, able)) };
  const wording = wordingOf(composer, { isStreaming: request.stream === true, requestId: call.requestId, headers });
  return serve(call, door, chatQuestion(chatFromMessages(request, able)), wording);
};

/** `POST /v1/messages/count_tokens` */
export const countTokens = async (call: Call, door: Door): Promise<void> => {
  const { value } = await readJsonBody(call.request, CountTokensRequest, { maxTextBytes: door.maxTextBodyBytes });
  writeJson(
    call.response,
    200,
    { 'x-request-id': call.requestId, 'request-id': call.requestId, 'x-lai-estimate': '1' },
    { input_tokens: estimatedTokens(value) },
  );
};

const wordingOf = (
  composer: MessageComposer,
  options: { isStreaming: boolean; requestId: string; headers: Record<string, string> },
): Wording => {
  const deltas = new ChatDeltas();
  const { requestId, headers } = options;
  if (!options.isStreaming) {
    return {
      kind: 'whole',
      headers,
      error: anthropicError,
      push: (bytes) => {
        for (const delta of deltas.push(bytes)) composer.take(delta);
      },
      finish: () => {
        for (const delta of deltas.finish()) composer.take(delta);
        return composer.complete().message;
      },
    };
  }
  const takeAll = (taken: readonly ChatDelta[]) => [...composer.start(), ...taken.flatMap((delta) => composer.take(delta))];
  return {
    ...sseWording,
    headers,
    error: anthropicError,
    // Its clients know an event for this.
    keepAlive: () => eventsText([{ type: 'ping' }]),
    chunk: (_, bytes) => eventsText(takeAll(deltas.push(bytes))),
    end: () => eventsText([...takeAll(deltas.finish()), ...composer.complete().events]),
    failed: (failure) => eventsText(composer.fail(failure, requestId)),
  };
};

const eventsText = (events: readonly Record<string, unknown>[]): string =>
  events.map((event) => `event: ${event['type']}\ndata: ${JSON.stringify(event)}\n\n`).join('');
