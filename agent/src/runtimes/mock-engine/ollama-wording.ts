import type { Answer, ToolCall } from './answer.ts';
import type { Stats, Wording } from './answer-writer.ts';
import type { Refusal } from './hosted-model.ts';
import { goTime } from './ollama-names.ts';
import type { Prompt } from './prompt.ts';
import { escaped, FINGERPRINT, type Reply } from './wire.ts';

/** Shapes as recorded from Ollama 0.32.15; tool calls from its source (openai/openai.go, api/types.go). */

const NATIVE_JSON = 'application/json; charset=utf-8';
const OPENAI_JSON = 'application/json';

/** Its two doors say the same things in different envelopes. */
export type Door = 'native' | 'openai';

export const ollamaError = (door: Door, status: number, message: string): Reply => {
  if (door === 'native') return { status, contentType: NATIVE_JSON, body: JSON.stringify({ error: message }) };
  const type = status === 400 ? 'invalid_request_error' : status === 404 ? 'not_found_error' : 'api_error';
  return { status, contentType: OPENAI_JSON, body: JSON.stringify({ error: { message, type, param: null, code: null } }) };
};

export const ollamaJson = (door: Door, value: unknown): Reply => ({
  status: 200,
  contentType: door === 'native' ? NATIVE_JSON : OPENAI_JSON,
  body: JSON.stringify(value),
});

// Two spaces in the middle: so it is written there.
const BUSY = 'server busy, please try again.  maximum pending requests exceeded';
const STOPPED =
  'model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, check ollama server logs for details';
export const UNEXPECTED_EOF = 'an error was encountered while running the model: unexpected EOF';

export const ollamaRefusal = (door: Door, refusal: Refusal): Reply => {
  switch (refusal.kind) {
    case 'busy':
      return ollamaError(door, 503, BUSY);
    case 'loading':
      // Assumed: it has no such answer; this is what its child says, handed on.
      return ollamaError(door, 500, 'llama-server is still loading model');
    case 'error':
      return ollamaError(door, 500, 'simulated internal error');
    case 'oom': {
      const mib = (refusal.neededBytes / 2 ** 20).toFixed(2);
      return ollamaError(
        door,
        500,
        `llama-server process has terminated: exit status 1: ggml_backend_cuda_buffer_type_alloc_buffer: allocating ${mib} MiB on device 0: cudaMalloc failed: out of memory\nllama_init_from_model: failed to initialize the context: failed to allocate buffer for kv cache`,
      );
    }
    case 'load-failed':
    case 'crashed':
    case 'dead':
      return ollamaError(door, 500, STOPPED);
  }
};

const nanoseconds = (durationMs: number): number => Math.max(1000, Math.round(durationMs * 1e6));

const measures = (stats: Stats): Record<string, number> => ({
  total_duration: nanoseconds(stats.totalMs),
  load_duration: nanoseconds(Math.max(1, stats.loadMs)),
  prompt_eval_count: stats.promptTokens,
  prompt_eval_duration: nanoseconds(stats.prefillMs),
  eval_count: stats.tokens,
  eval_duration: nanoseconds(stats.generateMs),
});

const textOf = (stats: Stats): string => (stats.answer.toolCall ? '' : stats.answer.tokens.slice(0, stats.tokens).join(''));

export interface OllamaNaming {
  /** As the request wrote it: `llama3`, not `llama3:latest`. */
  readonly model: string;
  readonly prompt: Prompt;
}

// ---- native: one JSON object per line

const nativeTool = (call: ToolCall): unknown => ({ function: { name: call.name, arguments: call.arguments } });

/** `/api/chat` and `/api/generate` differ in where the text stands. */
export const ollamaNative = (naming: OllamaNaming, kind: 'chat' | 'generate'): Wording => {
  const head = (): string => `{"model":"${escaped(naming.model)}","created_at":"${goTime(Date.now())}",`;
  const holder = kind === 'chat' ? '"message":{"role":"assistant","content":"' : '"response":"';
  const close = kind === 'chat' ? '"}' : '"';
  const reasonOf = (answer: Answer): string => (answer.finishReason === 'length' ? 'length' : 'stop');
  const last = (stats: Stats, text: string, tool: ToolCall | null): string => {
    const content =
      kind === 'chat'
        ? { message: { role: 'assistant', content: text, ...(tool ? { tool_calls: [nativeTool(tool)] } : {}) } }
        : { response: text };
    const rest = { ...content, done: true, done_reason: reasonOf(stats.answer), ...measures(stats) };
    return head() + JSON.stringify(rest).slice(1);
  };
  return {
    isStream: naming.prompt.isStream,
    contentType: naming.prompt.isStream ? 'application/x-ndjson' : NATIVE_JSON,
    headersAt: 'first-token',
    prelude: '',
    first: null,
    piece: () => ({ before: head() + holder, after: `${close},"done":false}\n` }),
    // The call comes whole, when its last token is there, with the arguments as an object.
    toolChunks: (answer, _from, to) => {
      if (!answer.toolCall || to < answer.tokens.length) return '';
      const message = { role: 'assistant', content: '', tool_calls: [nativeTool(answer.toolCall)] };
      return `${head()}"message":${JSON.stringify(message)},"done":false}\n`;
    },
    closing: (stats, isDoneMissing) => (isDoneMissing ? '' : `${last(stats, '', null)}\n`),
    whole: (stats) => last(stats, textOf(stats), stats.answer.toolCall),
    wholeWithoutReason: (stats) => `${head()}${holder}${escaped(textOf(stats))}${close},"done":false}`,
    crashBeforeStart: ollamaError('native', 500, STOPPED),
    crashMidStream: { text: `${JSON.stringify({ error: UNEXPECTED_EOF })}\n`, close: 'clean' },
    unloadMidStream: { text: `${JSON.stringify({ error: UNEXPECTED_EOF })}\n`, close: 'clean' },
  };
};

// ---- OpenAI's shapes

const openAiTool = (call: ToolCall, id: string): unknown => ({
  id: `call_${id}`,
  index: 0,
  type: 'function',
  function: { name: call.name, arguments: JSON.stringify(call.arguments) },
});

const usageOf = (stats: Stats): Record<string, number> => ({
  prompt_tokens: stats.promptTokens,
  completion_tokens: stats.tokens,
  total_tokens: stats.promptTokens + stats.tokens,
});

const NO_USAGE = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };

/** Three digits, as there: not unique enough for anything. */
const shortId = (): number => Math.floor(Math.random() * 999);

export const ollamaChat = (naming: OllamaNaming): Wording => {
  const number = shortId();
  const created = Math.floor(Date.now() / 1000);
  const head = (model: string): string =>
    `data: {"id":"chatcmpl-${number}","object":"chat.completion.chunk","created":${created},"model":"${escaped(model)}","system_fingerprint":"${FINGERPRINT}","choices":[`;
  const start = head(naming.model);
  const chunk = (delta: string, finish: string): string => `${start}{"index":0,"delta":${delta},"finish_reason":${finish}}]}\n\n`;
  const plain = { before: `${start}{"index":0,"delta":{"content":"`, after: '"},"finish_reason":null}]}\n\n' };
  const whole = (stats: Stats, reason: string | null, usage: Record<string, number>): string => {
    const tool = stats.answer.toolCall;
    const message = {
      role: 'assistant',
      content: textOf(stats),
      ...(tool ? { tool_calls: [openAiTool(tool, String(number))] } : {}),
    };
    return JSON.stringify({
      id: `chatcmpl-${number}`,
      object: 'chat.completion',
      created,
      model: naming.model,
      system_fingerprint: FINGERPRINT,
      choices: [{ index: 0, message, finish_reason: reason }],
      usage,
    });
  };
  return {
    isStream: naming.prompt.isStream,
    contentType: naming.prompt.isStream ? 'text/event-stream' : OPENAI_JSON,
    headersAt: 'first-token',
    prelude: '',
    first: { before: `${start}{"index":0,"delta":{"role":"assistant","content":"`, after: plain.after },
    piece: () => plain,
    toolChunks: (answer, _from, to) => {
      if (!answer.toolCall || to < answer.tokens.length) return '';
      return chunk(
        JSON.stringify({ role: 'assistant', content: '', tool_calls: [openAiTool(answer.toolCall, String(number))] }),
        'null',
      );
    },
    closing: (stats, isDoneMissing) => {
      const usage = naming.prompt.wantsUsage ? `${start}],"usage":${JSON.stringify(usageOf(stats))}}\n\n` : '';
      return chunk('{}', `"${stats.answer.finishReason}"`) + usage + (isDoneMissing ? '' : 'data: [DONE]\n\n');
    },
    whole: (stats) => whole(stats, stats.answer.finishReason, usageOf(stats)),
    wholeWithoutReason: (stats) => whole(stats, null, NO_USAGE),
    crashBeforeStart: ollamaError('openai', 500, STOPPED),
    // The disguise: one empty delta without a model's name, then a proper end.
    crashMidStream: { text: `${head('')}{"index":0,"delta":{"content":""},"finish_reason":null}]}\n\n`, close: 'clean' },
    unloadMidStream: { text: `${head('')}{"index":0,"delta":{"content":""},"finish_reason":null}]}\n\n`, close: 'clean' },
  };
};

export const ollamaCompletion = (naming: OllamaNaming): Wording => {
  const number = shortId();
  const created = Math.floor(Date.now() / 1000);
  const head = `data: {"id":"cmpl-${number}","object":"text_completion","created":${created},"choices":[`;
  const identity = (model: string): string => `],"model":"${escaped(model)}","system_fingerprint":"${FINGERPRINT}"`;
  const tail = identity(naming.model);
  // A quirk to live with: with include_usage every chunk carries a usage of zeros; only the last one counts.
  const zeros = naming.prompt.wantsUsage ? `,"usage":${JSON.stringify(NO_USAGE)}` : '';
  const frame = { before: `${head}{"text":"`, after: `","index":0,"finish_reason":null}${tail}${zeros}}\n\n` };
  const whole = (stats: Stats, reason: string | null, usage: Record<string, number>): string =>
    JSON.stringify({
      id: `cmpl-${number}`,
      object: 'text_completion',
      created,
      model: naming.model,
      system_fingerprint: FINGERPRINT,
      choices: [{ text: textOf(stats), index: 0, finish_reason: reason }],
      usage,
    });
  // Assumed to disguise a crash as its chat route does.
  const lost = { text: `${head}{"text":"","index":0,"finish_reason":null}${identity('')}${zeros}}\n\n`, close: 'clean' } as const;
  return {
    isStream: naming.prompt.isStream,
    contentType: naming.prompt.isStream ? 'text/event-stream' : OPENAI_JSON,
    headersAt: 'first-token',
    prelude: '',
    first: null,
    piece: () => frame,
    toolChunks: () => '',
    closing: (stats, isDoneMissing) => {
      const end = `${head}{"text":"","index":0,"finish_reason":"${stats.answer.finishReason}"}${tail}${zeros}}\n\n`;
      const usage = naming.prompt.wantsUsage ? `${head}${tail},"usage":${JSON.stringify(usageOf(stats))}}\n\n` : '';
      return end + usage + (isDoneMissing ? '' : 'data: [DONE]\n\n');
    },
    whole: (stats) => whole(stats, stats.answer.finishReason, usageOf(stats)),
    wholeWithoutReason: (stats) => whole(stats, null, NO_USAGE),
    crashBeforeStart: ollamaError('openai', 500, STOPPED),
    crashMidStream: lost,
    unloadMidStream: lost,
  };
};
