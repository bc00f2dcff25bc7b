import type { IncomingMessage, ServerResponse } from 'node:http';
import { ChatCompletionRequest } from '@lai/shared/openai';
import type { Logger } from 'pino';
import type { Principal } from '../../access/api-keys.ts';
import type { Dispatcher } from '../../dispatch/dispatcher.ts';
import { readJsonBody } from './body.ts';
import { chatTarget } from './needs.ts';
import { timeoutFromHeaders } from './request-options.ts';
import { type Ending, respondCollected, respondStreaming } from './respond.ts';

/** The SDKs' own limit for one request. */
const TOTAL_MS = 600_000;
/** A client that does not stream hears nothing meanwhile, and Node's fetch hangs up after 300 s of that. */
const SILENT_MS = 280_000;

export interface ChatOptions {
  readonly dispatcher: Dispatcher;
  readonly queueWaitMs: number;
  readonly keepAliveMs: number;
  readonly maxTextBodyBytes: number;
  readonly log: Logger;
}

/** `POST /v1/chat/completions`. Throws CodedError while nothing has been written yet. */
export const chatCompletions = async (
  call: { request: IncomingMessage; response: ServerResponse; principal: Principal; requestId: string },
  options: ChatOptions,
): Promise<void> => {
  const { request, response, principal, requestId } = call;
  const startedAtMs = Date.now();
  const timeoutMs = timeoutFromHeaders(request.headers);
  const body = await readJsonBody(request, ChatCompletionRequest, { maxTextBytes: options.maxTextBodyBytes });
  const isStreaming = body.value.stream === true;
  const totalMs = timeoutMs ?? (isStreaming ? TOTAL_MS : SILENT_MS);
  const gone = new AbortController();
  response.once('close', () => gone.abort());

  const answer = options.dispatcher.answer({
    requestId,
    keyId: principal.keyId,
    route: 'chat.completions',
    target: chatTarget(body.value),
    // A stream can be watched and stopped; usage costs nothing and is what accounting needs.
    bodyFor: (model) => body.with({ model, stream: true, stream_options: { ...body.value.stream_options, include_usage: true } }),
    queueDeadlineMs: startedAtMs + Math.min(totalMs, timeoutMs ?? options.queueWaitMs),
    deadlineMs: startedAtMs + totalMs,
    signal: gone.signal,
  });
  const respond = { answer, response, requestId, abandon: () => response.destroy() };
  const ending = isStreaming
    ? await respondStreaming({
        ...respond,
        includeUsage: body.value.stream_options?.include_usage === true,
        keepAliveMs: options.keepAliveMs,
      })
    : await respondCollected(respond);
  logAnswer(options.log, requestId, answer.trail, ending, Date.now() - startedAtMs);
};

const logAnswer = (
  log: Logger,
  requestId: string,
  trail: { attempts: readonly { nodeName: string; model: string; outcome: string }[]; queueMs: number | null },
  ending: Ending | null,
  totalMs: number,
): void => {
  log.info(
    {
      requestId,
      outcome: ending === null ? 'canceled' : ending.kind === 'end' ? 'ok' : ending.code,
      attempts: trail.attempts.map(({ nodeName, model, outcome }) => `${nodeName}/${model}: ${outcome}`),
      queueMs: trail.queueMs,
      totalMs,
      usage: ending?.usage ?? null,
    },
    'request ended',
  );
};
