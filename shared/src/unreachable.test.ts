import { describe, expect, it } from 'vitest';
import { codeOf, unreachable } from './unreachable.ts';

const fetchFailed = (code: string) => new TypeError('fetch failed', { cause: Object.assign(new Error('x'), { code }) });

describe('unreachable', () => {
  it.each([
    ['ECONNREFUSED', 'nobody'],
    ['ENOTFOUND', 'no_name'],
    ['EAI_AGAIN', 'no_name'],
    ['ETIMEDOUT', 'no_answer'],
    ['UND_ERR_CONNECT_TIMEOUT', 'no_answer'],
    ['EHOSTUNREACH', 'no_answer'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'untrusted'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'untrusted'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'untrusted'],
    ['CERT_HAS_EXPIRED', 'untrusted'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'no_tls'],
    ['ERR_SSL_PACKET_LENGTH_TOO_LONG', 'no_tls'],
    ['ECONNRESET', 'tls_wanted'],
    ['UND_ERR_SOCKET', 'tls_wanted'],
    ['HPE_INVALID_CONSTANT', 'tls_wanted'],
    ['ERR_INVALID_URL', 'no_address'],
    ['SOMETHING_NEW', 'unknown'],
  ])('tells %s as %s, in a sentence that names the address', (code, kind) => {
    const told = unreachable(fetchFailed(code), 'https://lai.example:5240');
    expect(told.kind).toBe(kind);
    expect(told.what).toMatch(/https:\/\/lai\.example:5240.*\.$/);
    expect(told.what).not.toContain('fetch failed');
  });

  it('finds the code behind several causes, among several addresses, and of a time limit', () => {
    expect(codeOf(new Error('a', { cause: fetchFailed('ECONNREFUSED') }))).toBe('ECONNREFUSED');
    expect(
      codeOf(
        new TypeError('fetch failed', { cause: new AggregateError([Object.assign(new Error(), { code: 'ECONNREFUSED' })]) }),
      ),
    ).toBe('ECONNREFUSED');
    expect(codeOf(new DOMException('late', 'TimeoutError'))).toBe('ETIMEDOUT');
    expect(codeOf('nothing of an error')).toBe('nothing of an error');
  });
});
