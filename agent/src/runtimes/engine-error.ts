import type { ErrorCode } from '@lai/shared/errors';

/**
 * Substrings, in lower case. Those by which Ollama itself recognises an engine that ran out of memory (its llm/status.go), then what vLLM
 * and Metal say besides. llama-server's "failed to fit params to free device memory" is none: what it warns of often goes well.
 */
const OUT_OF_MEMORY = [
  'out of memory',
  'out of device memory',
  'cudamalloc failed',
  'hipmalloc failed',
  'failed to allocate',
  'allocation failed',
  'not enough memory',
  'insufficient memory',
  'requires more system memory',
  'vk_error_out_of_device_memory',
  'erroroutofmemory',
  'outofmemoryerror',
  'unable to allocate',
  'no available memory for the cache blocks',
  'larger than the available kv cache memory',
  'less than desired gpu memory utilization',
  'greater than the maximum allowed buffer size',
];

const CONTEXT_TOO_LONG = [
  'exceed_context_size',
  'exceeds the available context size',
  'maximum context length',
  'context length exceeded',
  'prompt is too long',
  // llama-server, of an input for embeddings.
  'tokens) is too large to process',
];
const CRASHED = ['unexpectedly stopped', 'process has terminated', 'unexpected eof', 'enginedead', 'enginecore', 'proxy error'];
/** llama-server's router, when all models that it may hold are busy. */
const FULL = ['model limit reached'];
const NO_SUCH_MODEL = ['not found', 'does not exist'];

export const saysOutOfMemory = (text: string): boolean => {
  const lower = text.toLowerCase();
  return OUT_OF_MEMORY.some((words) => lower.includes(words));
};

/**
 * What an engine's error answer means, whichever engine it is: they agree on little but words.
 * Order matters: a 500 about memory is about memory, a 400 about context is about context.
 */
export const classifyEngineError = (status: number, text: string): ErrorCode => {
  const lower = text.toLowerCase();
  const says = (words: readonly string[]) => words.some((word) => lower.includes(word));
  if (says(CONTEXT_TOO_LONG)) return 'context_length_exceeded';
  if (saysOutOfMemory(text)) return 'out_of_memory';
  if (status === 404 || (status === 400 && lower.includes('model') && says(NO_SUCH_MODEL))) return 'model_not_found';
  if (status === 503 && lower.includes('loading')) return 'model_loading';
  if (status === 503 || status === 429 || says(FULL)) return 'engine_overloaded';
  // Its key or its address does not suit the engine: the node's affair, not the client's.
  if (status === 401 || status === 403) return 'engine_error';
  // Before the crashes: whoever answers 4xx lives, even when it says "unexpected EOF" of a body that broke off.
  if (status >= 400 && status < 500) return 'request_refused';
  if (says(CRASHED)) return 'engine_crashed';
  return 'engine_error';
};

/** What a failed connection to the engine means. Before the answer began it is unreachable, after that it crashed. */
export const classifySocketError = (code: string | undefined, hasAnswered: boolean): ErrorCode =>
  !hasAnswered && (code === 'ECONNREFUSED' || code === 'ENOENT' || code === 'ETIMEDOUT' || code === 'EHOSTUNREACH')
    ? 'engine_unreachable'
    : 'engine_crashed';

const EXPLANATION_LIMIT = 300;

/**
 * Why an engine called a request invalid, in words that may be shown to whoever sent it. Engines nest their JSON (Ollama puts
 * llama-server's whole answer into a string), and some leak addresses and paths (vLLM, CVE-2026-22778): those are cut out.
 */
export const explainRefusal = (text: string): string | undefined => {
  const words = innermostMessage(text, 4)
    .replaceAll(/0x[0-9a-f]{4,}/gi, '…')
    .replaceAll(/(?:[A-Za-z]:)?[\\/][\w.@-]+(?:[\\/][\w.@-]+)+/g, '…')
    .replaceAll(/[^\x20-\x7e\u00a0-\uffff]+/g, ' ')
    .trim();
  return words === '' ? undefined : words.slice(0, EXPLANATION_LIMIT);
};

const innermostMessage = (text: string, depth: number): string => {
  if (depth === 0) return text;
  try {
    const value: unknown = JSON.parse(text);
    const message = messageOf(value);
    return message === null ? '' : innermostMessage(message, depth - 1);
  } catch {
    return text;
  }
};

const messageOf = (value: unknown): string | null => {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null) return null;
  const { error, message, detail } = value as Record<string, unknown>;
  return messageOf(message) ?? messageOf(error) ?? messageOf(detail);
};
