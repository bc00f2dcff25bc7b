import { CodedError, ERRORS, type ErrorCode } from '@lai/shared/errors';
import type { ErrorBody } from '@lai/shared/openai';
import { openAiSentence } from './context-length.ts';

export interface ErrorResponse<Body = ErrorBody> {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: Body;
}

/** What an OpenAI client is told: the shape its SDKs parse, and the two headers that steer their retries. */
export const errorResponse = (error: {
  readonly code: ErrorCode;
  readonly message: string;
  readonly param?: string | null;
  readonly retryAfterSeconds?: number | undefined;
}): ErrorResponse => {
  const { status, clientRetry } = ERRORS[error.code];
  const isCapacity = status === 429 || status === 503;
  return {
    status,
    headers: {
      ...(clientRetry ? {} : { 'x-should-retry': 'false' }),
      // SDKs obey 1 to 60 s and guess outside it.
      ...(isCapacity ? { 'retry-after': String(Math.min(60, Math.max(1, Math.ceil(error.retryAfterSeconds ?? 1)))) } : {}),
    },
    body: errorBody(error),
  };
};

export const errorBody = ({
  code,
  message,
  param = null,
}: {
  readonly code: ErrorCode;
  readonly message: string;
  readonly param?: string | null;
}): ErrorBody => ({
  error: { message: openAiSentence({ code, message }), type: ERRORS[code].type, param, code },
});

/** Whatever was thrown, as a coded error; what is no CodedError is a bug or broken infrastructure and stays in the log. */
export const asCodedError = (thrown: unknown): CodedError =>
  thrown instanceof CodedError ? thrown : new CodedError('internal_error', { cause: thrown });
