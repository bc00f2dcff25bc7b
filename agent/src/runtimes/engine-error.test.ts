import type { ErrorCode } from '@lai/shared/errors';
import { describe, expect, it } from 'vitest';
import { classifyEngineError, classifySocketError } from './engine-error.ts';

/** Ollama passes llama-server's refusal on as text inside its own JSON. */
const contextInOllama = JSON.stringify({
  error: {
    message: JSON.stringify({
      error: {
        code: 400,
        message: 'request (5120 tokens) exceeds the available context size (4096 tokens), try increasing it',
        type: 'exceed_context_size_error',
        n_prompt_tokens: 5120,
        n_ctx: 4096,
      },
    }),
    type: 'invalid_request_error',
    param: null,
    code: null,
  },
});

const outOfMemoryInOllama =
  '{"error":"llama-server process has terminated: exit status 1: ggml_aligned_malloc: insufficient memory (attempted to allocate 384.00 MB)\\nllama_init_from_model: failed to initialize the context: failed to allocate buffer for kv cache"}';

describe('an answer of Ollama', () => {
  it.each<[string, number, string, ErrorCode]>([
    ['unknown model, native', 404, `{"error":"model 'x' not found"}`, 'model_not_found'],
    [
      'unknown model, /v1',
      404,
      `{"error":{"message":"model 'x' not found","type":"not_found_error","param":null,"code":null}}`,
      'model_not_found',
    ],
    ['bad JSON', 400, '{"error":"invalid character \'b\' looking for beginning of object key string"}', 'request_refused'],
    ['a body that broke off', 400, '{"error":"unexpected EOF"}', 'request_refused'],
    ['wrong capability', 400, `{"error":{"message":"\\"tiny\\" does not support tools"}}`, 'request_refused'],
    ['a prompt that is too long', 400, contextInOllama, 'context_length_exceeded'],
    ['a full queue', 503, '{"error":"server busy, please try again.  maximum pending requests exceeded"}', 'engine_overloaded'],
    ['a load without memory', 500, outOfMemoryInOllama, 'out_of_memory'],
    [
      'a load without memory, v0.24',
      500,
      '{"error":"model requires more system memory (9 GiB) than is available (4 GiB)"}',
      'out_of_memory',
    ],
    [
      'a dead runner, v0.24',
      500,
      '{"error":"model runner has unexpectedly stopped, this may be due to resource limitations"}',
      'engine_crashed',
    ],
    ['a runner that died at start', 500, '{"error":"llama-server process has terminated: signal: killed"}', 'engine_crashed'],
    [
      'a runner that died in the middle',
      500,
      '{"error":"an error was encountered while running the model: unexpected EOF"}',
      'engine_crashed',
    ],
    ['a Host header it does not like', 403, '', 'engine_error'],
    ['anything else', 500, '{"error":"no idea"}', 'engine_error'],
  ])('%s', (_, status, text, code) => {
    expect(classifyEngineError(status, text)).toBe(code);
  });

  it.each([
    'out of memory',
    'out of device memory',
    'cudaMalloc failed',
    'hipMalloc failed',
    'failed to allocate',
    'allocation failed',
    'not enough memory',
    'insufficient memory',
    'vk_error_out_of_device_memory',
    'ErrorOutOfMemory',
  ])('says "%s" when memory ran out', (words) => {
    expect(classifyEngineError(500, `{"error":"CUDA error: ${words} at 0x7f"}`)).toBe('out_of_memory');
  });
});

describe('an answer of vLLM', () => {
  const answer = (message: string, type: string, code: number) => JSON.stringify({ error: { message, type, param: null, code } });

  it.each<[string, number, string, ErrorCode]>([
    ['unknown model', 404, answer('The model `x` does not exist.', 'NotFoundError', 404), 'model_not_found'],
    [
      'a prompt that is too long',
      400,
      answer("This model's maximum context length is 4096 tokens. However, you requested 5000", 'BadRequestError', 400),
      'context_length_exceeded',
    ],
    ['a bad parameter', 400, answer('temperature must be non-negative', 'BadRequestError', 400), 'request_refused'],
    ['a bad schema', 422, answer('Input should be a list', 'UnprocessableEntityError', 422), 'request_refused'],
    ['our key is wrong', 401, '{"error":"Unauthorized"}', 'engine_error'],
    ['a dead engine', 500, answer('EngineDeadError: see stack trace', 'InternalServerError', 500), 'engine_crashed'],
    [
      'a dead core',
      500,
      answer('EngineCore encountered an issue. See stack trace (above) for the root cause.', 'InternalServerError', 500),
      'engine_crashed',
    ],
    ['the health of a dead engine', 503, '', 'engine_overloaded'],
    ['not implemented', 501, answer('not here', 'NotImplementedError', 501), 'engine_error'],
    ['too many', 429, '', 'engine_overloaded'],
  ])('%s', (_, status, text, code) => {
    expect(classifyEngineError(status, text)).toBe(code);
  });
});

describe('an answer of llama-server', () => {
  const answer = (code: number, message: string, type: string) => JSON.stringify({ error: { code, message, type } });

  it.each<[string, number, string, ErrorCode]>([
    ['still loading', 503, answer(503, 'Loading model', 'unavailable_error'), 'model_loading'],
    ['no place', 500, answer(500, 'model limit reached, try again later', 'server_error'), 'engine_overloaded'],
    [
      'a prompt that is too long',
      400,
      answer(400, 'the request exceeds the available context size', 'exceed_context_size_error'),
      'context_length_exceeded',
    ],
    ['unknown model, router', 400, answer(400, "model 'x' not found", 'invalid_request_error'), 'model_not_found'],
    ['an unknown tool is no unknown model', 400, answer(400, "tool 'x' not found", 'invalid_request_error'), 'request_refused'],
    ['our key is missing', 401, answer(401, 'Invalid API Key', 'authentication_error'), 'engine_error'],
    ['no permission', 403, answer(403, 'no', 'permission_error'), 'engine_error'],
    ['embeddings switched off', 501, answer(501, 'start it with --embeddings', 'not_supported_error'), 'engine_error'],
    ['the router lost its child', 500, 'proxy error: Could not establish connection', 'engine_crashed'],
    ['a server error', 500, answer(500, 'slot lost', 'server_error'), 'engine_error'],
  ])('%s', (_, status, text, code) => {
    expect(classifyEngineError(status, text)).toBe(code);
  });
});

describe('a failed connection to an engine', () => {
  it.each<[string | undefined, boolean, ErrorCode]>([
    ['ECONNREFUSED', false, 'engine_unreachable'],
    ['ENOENT', false, 'engine_unreachable'],
    ['ETIMEDOUT', false, 'engine_unreachable'],
    ['EHOSTUNREACH', false, 'engine_unreachable'],
    ['ECONNRESET', false, 'engine_crashed'],
    ['EPIPE', false, 'engine_crashed'],
    [undefined, false, 'engine_crashed'],
    ['ECONNREFUSED', true, 'engine_crashed'],
    ['ECONNRESET', true, 'engine_crashed'],
    ['ETIMEDOUT', true, 'engine_crashed'],
  ])('%s, answer begun %j: %s', (socketCode, hasAnswered, code) => {
    expect(classifySocketError(socketCode, hasAnswered)).toBe(code);
  });
});
