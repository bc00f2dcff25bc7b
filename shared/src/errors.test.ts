import { describe, expect, it } from 'vitest';
import { CodedError, ERRORS, type ErrorEntry, errorCodes, isErrorCode, type OpenAiErrorType } from './errors.ts';

const entries = Object.entries<ErrorEntry>(ERRORS);

/** What an OpenAI client expects behind a status; every other 4xx is the request's own fault. */
const TYPE_OF_STATUS: Record<number, OpenAiErrorType> = {
  401: 'authentication_error',
  403: 'permission_error',
  429: 'rate_limit_error',
  // The client closed the request: nobody reads this but the log.
  499: 'server_error',
};

/** The same time would run out again, and clients try three times; an operator or an owner has to act first. */
const IN_VAIN: ReadonlySet<string> = new Set(['deadline_exceeded', 'provider_quota_exhausted', 'provider_auth_failed']);

describe.each(entries)('the code %s', (code, entry) => {
  it('is snake_case', () => {
    expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/);
  });

  it('has an HTTP status of an error and the type that belongs to it', () => {
    expect(entry.status).toBeGreaterThanOrEqual(400);
    expect(entry.status).toBeLessThan(600);
    const usual = TYPE_OF_STATUS[entry.status] ?? (entry.status < 500 ? 'invalid_request_error' : 'server_error');
    // OpenAI's own word for an account that is empty.
    expect(entry.type).toBe(code === 'provider_quota_exhausted' ? 'insufficient_quota' : usual);
  });

  it('invites a retry exactly where the same request may succeed later', () => {
    expect(entry.clientRetry).toBe((entry.status >= 500 || entry.status === 429) && !IN_VAIN.has(code));
  });

  it('is tried on another node only when the request itself is not at fault', () => {
    // A provider that refuses for a while is no fault of the request; another step of its route may answer.
    if (entry.failover && !code.startsWith('provider_')) expect(entry.status).toBeGreaterThanOrEqual(500);
  });

  it('says so in one line that ends, and asks to send again only what may be sent again', () => {
    expect(entry.sentence).toMatch(/^[A-Z][^\n]+\.$/);
    if (/send the request again|try again/i.test(entry.sentence)) expect(entry.clientRetry).toBe(true);
  });
});

describe('error codes', () => {
  it('are the keys of the table', () => {
    expect(errorCodes).toEqual(Object.keys(ERRORS));
  });

  it.each([
    ['node_lost', true],
    ['Node_Lost', false],
    ['toString', false],
    ['__proto__', false],
    ['', false],
    [undefined, false],
    [502, false],
  ])('include %j: %j', (value, isCode) => {
    expect(isErrorCode(value)).toBe(isCode);
  });
});

describe('a coded error', () => {
  it('says the sentence of its code unless it is told a better one', () => {
    expect(new CodedError('node_busy').message).toBe(ERRORS.node_busy.sentence);
    expect(new CodedError('node_busy', { message: 'The attic is full.' }).message).toBe('The attic is full.');
  });

  it('carries what the log and the API need, and nothing it was not given', () => {
    const cause = new Error('underneath');
    const full = new CodedError('invalid_value', { param: 'messages.0', detail: 'for the log', retryAfterSeconds: 3, cause });
    expect(full).toMatchObject({
      code: 'invalid_value',
      param: 'messages.0',
      detail: 'for the log',
      retryAfterSeconds: 3,
      cause,
    });
    expect(new CodedError('invalid_value')).toMatchObject({ param: null, detail: undefined, retryAfterSeconds: undefined });
  });
});
