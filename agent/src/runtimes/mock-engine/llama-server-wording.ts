import { randomBytes } from 'node:crypto';
import type { Answer } from './answer.ts';
import type { Stats, Wording } from './answer-writer.ts';
import type { Refusal } from './hosted-model.ts';
import type { Prompt } from './prompt.ts';
import { escaped, FINGERPRINT, type Reply } from './wire.ts';

/** Field order, ids, timings and headers as recorded from llama-server 0.7.0; tool-call chunks from its source. */

const JSON_TYPE = 'application/json; charset=utf-8';

export const llamaError = (status: number, message: string, type: string, more: Record<string, unknown> = {}): Reply => ({
  status,
  contentType: JSON_TYPE,
  body: JSON.stringify({ error: { code: status, message, type, ...more } }),
});

export const llamaJson = (value: unknown): Reply => ({ status: 200, contentType: JSON_TYPE, body: JSON.stringify(value) });

export const LOADING: Reply = {
  status: 503,
  contentType: JSON_TYPE,
  body: '{"error":{"message":"Loading model","type":"unavailable_error","code":503}}',
};

export const FILE_NOT_FOUND: Reply = {
  status: 404,
  contentType: JSON_TYPE,
  body: '{"error":{"message":"File Not Found","type":"not_found_error","code":404}}',
};

/** The child died under the router: its words when no header had come yet [source: server-models.cpp]. */
const PROXY_ERROR = 'proxy error: Failed to read connection';
const CHILD_GONE: Reply = { status: 500, contentType: JSON_TYPE, body: PROXY_ERROR };

export const llamaRefusal = (model: string, refusal: Refusal): Reply => {
  switch (refusal.kind) {
    case 'loading':
      return LOADING;
    case 'busy':
      // It never says so by itself; this is what the router throws when its model limit is reached.
      return llamaError(500, 'model limit reached, try again later', 'server_error');
    case 'error':
      return llamaError(500, 'simulated internal error', 'server_error');
    case 'oom':
    case 'load-failed':
      return llamaError(500, `model name=${model} failed to load`, 'server_error');
    case 'crashed':
    case 'dead':
      return CHILD_GONE;
  }
};

export interface Naming {
  readonly model: string;
  readonly prompt: Prompt;
  /** A router hands on what its child says, with a header more. */
  readonly isRouted: boolean;
}

const timingsOf = (stats: Stats): Record<string, number> => {
  const predictedMs = Math.max(0.001, stats.generateMs);
  const prefillMs = Math.max(0.001, stats.prefillMs);
  return {
    cache_n: 0,
    prompt_n: stats.promptTokens,
    prompt_ms: prefillMs,
    prompt_per_token_ms: prefillMs / stats.promptTokens,
    prompt_per_second: (1000 * stats.promptTokens) / prefillMs,
    predicted_n: stats.tokens,
    predicted_ms: predictedMs,
    predicted_per_token_ms: predictedMs / Math.max(1, stats.tokens),
    predicted_per_second: (1000 * stats.tokens) / predictedMs,
  };
};

const usageOf = (stats: Stats): Record<string, unknown> => ({
  completion_tokens: stats.tokens,
  prompt_tokens: stats.promptTokens,
  total_tokens: stats.promptTokens + stats.tokens,
  prompt_tokens_details: { cached_tokens: 0 },
});

const newId = (): string => `chatcmpl-${randomBytes(24).toString('base64url')}`;

const shared = (
  naming: Naming,
): Omit<Wording, 'prelude' | 'piece' | 'closing' | 'whole' | 'wholeWithoutReason' | 'toolChunks'> => {
  const { isStream } = naming.prompt;
  const routed: Record<string, string> = naming.isRouted || isStream ? { 'x-accel-buffering': 'no' } : {};
  return {
    isStream,
    contentType: isStream ? 'text/event-stream' : JSON_TYPE,
    headers: routed,
    headersAt: 'slot',
    first: null,
    crashBeforeStart: CHILD_GONE,
    // Alone it just vanishes; under a router the router ends the answer properly, after its own words.
    crashMidStream: naming.isRouted ? { text: PROXY_ERROR, close: 'clean' } : { text: '', close: 'reset' },
    unloadMidStream: { text: PROXY_ERROR, close: 'clean' },
  };
};

export const llamaChat = (naming: Naming): Wording => {
  const id = newId();
  const created = Math.floor(Date.now() / 1000);
  const tail = `"created":${created},"id":"${id}","model":"${escaped(naming.model)}","system_fingerprint":"${FINGERPRINT}","object":"chat.completion.chunk"`;
  const event = (delta: string, finish = 'null', more = ''): string =>
    `data: {"choices":[{"finish_reason":${finish},"index":0,"delta":${delta}}],${tail}${more}}\n\n`;
  const frame = {
    before: 'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"',
    after: `"}}],${tail}}\n\n`,
  };
  const whole = (stats: Stats, reason: string | null): string =>
    JSON.stringify({
      choices: [{ finish_reason: reason, index: 0, message: messageOf(stats, id) }],
      created,
      model: naming.model,
      system_fingerprint: FINGERPRINT,
      object: 'chat.completion',
      usage: usageOf(stats),
      id,
      timings: timingsOf(stats),
    });
  return {
    ...shared(naming),
    prelude: event('{"role":"assistant","content":null}'),
    piece: () => frame,
    toolChunks: (answer, from, to) =>
      toolDeltas(answer, id, from, to)
        .map((delta) => event(delta))
        .join(''),
    closing: (stats, isDoneMissing) => {
      const timings = `,"timings":${JSON.stringify(timingsOf(stats))}`;
      const reason = `"${stats.answer.finishReason}"`;
      const done = isDoneMissing ? '' : 'data: [DONE]\n\n';
      if (!naming.prompt.wantsUsage) return event('{}', reason, timings) + done;
      const usage = `data: {"choices":[],${tail},"usage":${JSON.stringify(usageOf(stats))}${timings}}\n\n`;
      return event('{}', reason) + usage + done;
    },
    whole: (stats) => whole(stats, stats.answer.finishReason),
    wholeWithoutReason: (stats) => whole(stats, null),
  };
};

const textOf = (stats: Stats): string => stats.answer.tokens.slice(0, stats.tokens).join('');

const messageOf = (stats: Stats, id: string): Record<string, unknown> => {
  const call = stats.answer.toolCall;
  if (!call) return { role: 'assistant', content: textOf(stats) };
  return {
    role: 'assistant',
    content: null,
    tool_calls: [
      {
        type: 'function',
        function: { name: call.name, arguments: JSON.stringify(call.arguments) },
        id: `call_${id.slice(9, 21)}`,
      },
    ],
  };
};

/** First the name with empty arguments, then the arguments piece by piece. */
export const toolDeltas = (answer: Answer, id: string, from: number, to: number): string[] => {
  const name = JSON.stringify(answer.toolCall?.name ?? '');
  const head = `{"tool_calls":[{"index":0,"id":"call_${id.slice(9, 21)}","type":"function","function":{"name":${name},"arguments":""}}]}`;
  const pieces = answer.tokens
    .slice(from, to)
    .map((token) => `{"tool_calls":[{"index":0,"function":{"arguments":"${escaped(token)}"}}]}`);
  return from === 0 ? [head, ...pieces] : pieces;
};

export const llamaCompletion = (naming: Naming): Wording => {
  const id = newId();
  const created = Math.floor(Date.now() / 1000);
  const tail = `"created":${created},"model":"${escaped(naming.model)}","system_fingerprint":"${FINGERPRINT}","object":"text_completion"`;
  const frame = {
    before: 'data: {"choices":[{"text":"',
    after: `","index":0,"logprobs":null,"finish_reason":null}],${tail},"id":"${id}"}\n\n`,
  };
  const whole = (stats: Stats, reason: string | null): string =>
    JSON.stringify({
      choices: [{ text: textOf(stats), index: 0, logprobs: null, finish_reason: reason }],
      created,
      model: naming.model,
      system_fingerprint: FINGERPRINT,
      object: 'text_completion',
      usage: usageOf(stats),
      id,
      timings: timingsOf(stats),
    });
  return {
    ...shared(naming),
    prelude: '',
    piece: () => frame,
    toolChunks: () => '',
    closing: (stats, isDoneMissing) =>
      `data: {"choices":[{"text":"","index":0,"logprobs":null,"finish_reason":"${stats.answer.finishReason}"}],${tail},"usage":${JSON.stringify(usageOf(stats))},"id":"${id}","timings":${JSON.stringify(timingsOf(stats))}}\n\n${isDoneMissing ? '' : 'data: [DONE]\n\n'}`,
    whole: (stats) => whole(stats, stats.answer.finishReason),
    wholeWithoutReason: (stats) => whole(stats, null),
  };
};
