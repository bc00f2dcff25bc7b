import { randomUUID } from 'node:crypto';
import type { Stats, Wording } from './answer-writer.ts';
import type { Refusal } from './hosted-model.ts';
import type { Prompt } from './prompt.ts';
import { escaped, FINGERPRINT, type Reply } from './wire.ts';

/** All of it from vLLM's source and issues, none of it recorded: no vLLM runs on the machines that this was written on. */

const JSON_TYPE = 'application/json';

export const vllmError = (status: number, message: string, type: string, param: string | null = null): Reply => ({
  status,
  contentType: JSON_TYPE,
  body: JSON.stringify({ error: { message, type, param, code: status } }),
});

export const vllmJson = (value: unknown): Reply => ({ status: 200, contentType: JSON_TYPE, body: JSON.stringify(value) });

const CORE_GONE = 'EngineCore encountered an issue. See stack trace (above) for the root cause.';

export const vllmRefusal = (refusal: Refusal): Reply => {
  switch (refusal.kind) {
    case 'busy':
    case 'loading':
      // Assumed: it has no such answer; a proxy in front of it would give one.
      return { status: 503, contentType: 'text/plain', body: 'Service Unavailable' };
    case 'error':
      return vllmError(500, 'simulated internal error', 'InternalServerError');
    case 'oom':
    case 'load-failed':
      return vllmError(500, 'CUDA out of memory.', 'InternalServerError');
    case 'crashed':
    case 'dead':
      return vllmError(500, CORE_GONE, 'InternalServerError');
  }
};

/** An error in the middle of a stream is followed by a [DONE], which therefore proves nothing. */
const CRASH = `data: ${JSON.stringify({ error: { message: CORE_GONE, type: 'InternalServerError', param: null, code: 500 } })}\n\ndata: [DONE]\n\n`;

const usageOf = (tokens: number, promptTokens: number): Record<string, unknown> => ({
  prompt_tokens: promptTokens,
  total_tokens: promptTokens + tokens,
  completion_tokens: tokens,
  prompt_tokens_details: null,
});

const textOf = (stats: Stats): string => stats.answer.tokens.slice(0, stats.tokens).join('');

export interface VllmNaming {
  readonly model: string;
  readonly prompt: Prompt;
}

/** Both routes stream alike; they differ in what stands inside a choice. */
const stream = (naming: VllmNaming, kind: 'chat' | 'completion') => {
  const id = `${kind === 'chat' ? 'chatcmpl' : 'cmpl'}-${randomUUID().replaceAll('-', '')}`;
  const created = Math.floor(Date.now() / 1000);
  const object = kind === 'chat' ? 'chat.completion.chunk' : 'text_completion';
  const head = `data: {"id":"${id}","object":"${object}","created":${created},"model":"${escaped(naming.model)}","system_fingerprint":"${FINGERPRINT}","choices":[`;
  return { id, created, head };
};

const shared = (
  naming: VllmNaming,
): Omit<Wording, 'prelude' | 'piece' | 'closing' | 'whole' | 'wholeWithoutReason' | 'toolChunks'> => ({
  isStream: naming.prompt.isStream,
  contentType: naming.prompt.isStream ? 'text/event-stream; charset=utf-8' : JSON_TYPE,
  // The status line leaves as soon as the request is taken in, also when it then waits [source: Starlette's streaming answer].
  headersAt: 'arrival',
  first: null,
  crashBeforeStart: vllmError(500, CORE_GONE, 'InternalServerError'),
  crashMidStream: { text: CRASH, close: 'clean' },
  unloadMidStream: { text: CRASH, close: 'clean' },
});

export const vllmChat = (naming: VllmNaming): Wording => {
  const { id, created, head } = stream(naming, 'chat');
  const { prompt } = naming;
  let written = 0;
  const usage = (tokens: number): string => `,"usage":${JSON.stringify(usageOf(tokens, prompt.promptTokens))}`;
  const running = (tokens: number): string => (prompt.wantsUsageInEveryChunk ? usage(tokens) : '');
  const chunk = (delta: string, finish: string, more: string): string =>
    `${head}{"index":0,"delta":${delta},"logprobs":null,"finish_reason":${finish}}]${more}}\n\n`;
  const frame = { before: `${head}{"index":0,"delta":{"content":"`, after: '"},"logprobs":null,"finish_reason":null}]}\n\n' };
  const whole = (stats: Stats, reason: string | null): string => {
    const tool = stats.answer.toolCall;
    const call = tool && {
      id: `chatcmpl-tool-${id.slice(9)}`,
      type: 'function',
      function: { name: tool.name, arguments: JSON.stringify(tool.arguments) },
    };
    return JSON.stringify({
      id,
      object: 'chat.completion',
      created,
      model: naming.model,
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: call ? null : textOf(stats), refusal: null, tool_calls: call ? [call] : [] },
          logprobs: null,
          finish_reason: reason,
          stop_reason: null,
        },
      ],
      service_tier: null,
      system_fingerprint: FINGERPRINT,
      usage: usageOf(stats.tokens, stats.promptTokens),
      prompt_logprobs: null,
    });
  };
  return {
    ...shared(naming),
    prelude: chunk('{"role":"assistant","content":""}', 'null', running(0)),
    // One write is one chunk's worth of counting: near enough for a field that nobody adds up.
    piece: () =>
      prompt.wantsUsageInEveryChunk
        ? { before: frame.before, after: `"},"logprobs":null,"finish_reason":null}]${usage(++written)}}\n\n` }
        : frame,
    toolChunks: (answer, from, to) => {
      const name = JSON.stringify(answer.toolCall?.name ?? '');
      const opening = `{"tool_calls":[{"id":"chatcmpl-tool-${id.slice(9)}","type":"function","index":0,"function":{"name":${name},"arguments":""}}]}`;
      const pieces = answer.tokens
        .slice(from, to)
        .map((token) => `{"tool_calls":[{"index":0,"function":{"arguments":"${escaped(token)}"}}]}`);
      return [...(from === 0 ? [opening] : []), ...pieces].map((delta) => chunk(delta, 'null', '')).join('');
    },
    closing: (stats, isDoneMissing) => {
      const last = chunk('{"content":""}', `"${stats.answer.finishReason}","stop_reason":null`, running(stats.tokens));
      const total = prompt.wantsUsage ? `${head}]${usage(stats.tokens)}}\n\n` : '';
      return last + total + (isDoneMissing ? '' : 'data: [DONE]\n\n');
    },
    whole: (stats) => whole(stats, stats.answer.finishReason),
    wholeWithoutReason: (stats) => whole(stats, null),
  };
};

export const vllmCompletion = (naming: VllmNaming): Wording => {
  const { id, created, head } = stream(naming, 'completion');
  const { prompt } = naming;
  const frame = {
    before: `${head}{"index":0,"text":"`,
    after: '","logprobs":null,"finish_reason":null,"stop_reason":null}]}\n\n',
  };
  const whole = (stats: Stats, reason: string | null): string =>
    JSON.stringify({
      id,
      object: 'text_completion',
      created,
      model: naming.model,
      choices: [
        { index: 0, text: textOf(stats), logprobs: null, finish_reason: reason, stop_reason: null, prompt_logprobs: null },
      ],
      system_fingerprint: FINGERPRINT,
      usage: usageOf(stats.tokens, stats.promptTokens),
    });
  return {
    ...shared(naming),
    prelude: '',
    piece: () => frame,
    toolChunks: () => '',
    closing: (stats, isDoneMissing) => {
      const last = `${head}{"index":0,"text":"","logprobs":null,"finish_reason":"${stats.answer.finishReason}","stop_reason":null}]}\n\n`;
      const usage = prompt.wantsUsage ? `${head}],"usage":${JSON.stringify(usageOf(stats.tokens, stats.promptTokens))}}\n\n` : '';
      return last + usage + (isDoneMissing ? '' : 'data: [DONE]\n\n');
    },
    whole: (stats) => whole(stats, stats.answer.finishReason),
    wholeWithoutReason: (stats) => whole(stats, null),
  };
};
