import { CodedError, ERRORS, type ErrorCode, errorCodes } from '@lai/shared/errors';
import { ErrorBody } from '@lai/shared/openai';
import { describe, expect, it } from 'vitest';
import { asCodedError, errorBody, errorResponse } from './error-envelope.ts';

describe.each(errorCodes)('the answer for %s', (code) => {
  const { status, headers, body } = errorResponse({ code, message: 'What happened.' });

  it('has the status of the table and all four keys of an OpenAI error', () => {
    expect(status).toBe(ERRORS[code].status);
    expect(ErrorBody.strict().parse(body)).toEqual({
      error: { message: 'What happened.', type: ERRORS[code].type, param: null, code },
    });
  });

  it('tells SDKs whether to try again, and when', () => {
    expect(headers['x-should-retry']).toBe(ERRORS[code].clientRetry ? undefined : 'false');
    expect(headers['retry-after']).toBe(status === 429 || status === 503 ? '1' : undefined);
  });
});

describe('Retry-After', () => {
  it.each([
    [undefined, '1'],
    [0, '1'],
    [0.2, '1'],
    [2, '2'],
    [2.1, '3'],
    [60, '60'],
    [3_600, '60'],
    [-5, '1'],
  ])('for %s seconds says %s, which SDKs obey', (retryAfterSeconds, header) => {
    expect(errorResponse({ code: 'no_capacity', message: '', retryAfterSeconds }).headers['retry-after']).toBe(header);
  });

  it.each<ErrorCode>(['invalid_json', 'engine_error', 'internal_error'])('is not said for %s', (code) => {
    expect(errorResponse({ code, message: '', retryAfterSeconds: 5 }).headers).not.toHaveProperty('retry-after');
  });
});

describe('an error body', () => {
  it('names the field that is at fault', () => {
    expect(errorBody({ code: 'invalid_value', message: 'm', param: 'messages.0.role' }).error.param).toBe('messages.0.role');
  });

  it('is made of a coded error as it is, without what is for the log', () => {
    const error = new CodedError('node_lost', { detail: 'heap at 0x7f', cause: new Error('secret') });
    expect(errorBody(error)).toEqual({
      error: { message: ERRORS.node_lost.sentence, type: 'server_error', param: null, code: 'node_lost' },
    });
  });
});

describe('whatever was thrown', () => {
  it('stays as it is when it has a code', () => {
    const error = new CodedError('queue_full');
    expect(asCodedError(error)).toBe(error);
  });

  it.each([new TypeError('secret internals'), 'secret', undefined, null])(
    'is an internal error that tells nothing: %s',
    (thrown) => {
      const error = asCodedError(thrown);
      expect(error).toMatchObject({ code: 'internal_error', message: ERRORS.internal_error.sentence });
      expect(error.cause).toBe(thrown);
      expect(JSON.stringify(errorResponse(error))).not.toContain('secret');
    },
  );
});
