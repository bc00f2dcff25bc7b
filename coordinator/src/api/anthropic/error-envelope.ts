import type { AnthropicError } from '@lai/shared/anthropic';
import type { ErrorCode } from '@lai/shared/errors';
import { contextCounts } from '../openai/context-length.ts';
import { type ErrorResponse, errorResponse } from '../openai/error-envelope.ts';
import type { Failure } from '../openai/wording.ts';

/** The same statuses and retry headers as everywhere; Anthropic's words for the kinds. */
export const anthropicError = (failure: Failure, requestId: string): ErrorResponse<AnthropicError> => {
  const { status, headers } = errorResponse(failure);
  return { status, headers: { ...headers, 'request-id': requestId }, body: anthropicErrorBody(failure, requestId) };
};

export const anthropicErrorBody = (failure: Failure, requestId: string | null): AnthropicError => ({
  type: 'error',
  error: { type: typeOf(failure.code), message: sentenceOf(failure) },
  request_id: requestId,
});

const typeOf = (code: ErrorCode): string => {
  const { status } = errorResponse({ code, message: '' });
  if (code === 'node_lost' || code === 'preempted') return 'overloaded_error';
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 404) return 'not_found_error';
  if (status === 413) return 'request_too_large';
  if (status === 429) return 'rate_limit_error';
  if (status === 503) return 'overloaded_error';
  if (status === 504) return 'timeout_error';
  return status < 500 ? 'invalid_request_error' : 'api_error';
};

/** Claude Code compacts its conversation when it reads exactly this; the numbers are the engine's, or our estimate. */
const sentenceOf = ({ code, message }: Failure): string => {
  if (code !== 'context_length_exceeded') return message;
  const { needed, limit } = contextCounts(message) ?? { needed: 1, limit: 0 };
  return `prompt is too long: ${needed} tokens > ${limit} maximum`;
};
