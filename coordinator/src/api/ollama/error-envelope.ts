import { errorResponse } from '../openai/error-envelope.ts';
import type { Failure } from '../openai/wording.ts';

/** Ollama's errors are a sentence; statuses and retry headers are the same as everywhere. */
export const ollamaError = (failure: Failure) => {
  const { status, headers, body } = errorResponse(failure);
  return { status, headers, body: { error: body.error.message } };
};

const PATHS = /^\/api\/(version|tags|show|ps|chat|generate|embed|embeddings|pull|push|delete|create|copy|blobs)(\/|$)/;

/** Is this one of Ollama's own routes, and not one of ours below `/api`? */
export const isOllamaPath = (path: string): boolean => PATHS.test(path);
