import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { redact } from './redact.ts';

const secret = fc.stringMatching(/^[A-Za-z0-9]{24}$/);

describe('redact', () => {
  it.each<[string, (text: string) => string]>([
    ['a key', (text) => `curl -H 'x: lai_${text}' http://a`],
    ['a header', (text) => `{"authorization":"Bearer ${text}"}`],
    ['a bare header', (text) => `authorization: Bearer ${text}`],
    ['a webhook secret', (text) => `LAI_WEBHOOK_SECRET=whsec_${text}`],
    ['the link of the first operator', (text) => `First operator: http://127.0.0.1:5240/setup#${text}`],
    ['a password in an address', (text) => `redis://lai:${text}@redis:6379/0`],
    ['a password without a name in an address', (text) => `redis://:${text}@redis:6379/0`],
    ['a field', (text) => `{"level":30,"password":"${text}","msg":"x"}`],
    ['a variable', (text) => `LAI_PAYLOAD_KEY=${text}`],
    ['a prompt', (text) => `{"messages":[{"role":"user","content":"${text}"}]}`],
    ['a private key', (text) => `-----BEGIN PRIVATE KEY-----\n${text}\n-----END PRIVATE KEY-----`],
    ['a hash', (text) => `sha512 ${text}1a${text}`],
  ])('takes out %s', (_, around) => {
    fc.assert(
      fc.property(secret, (text) => {
        expect(redact(around(text))).not.toContain(text);
      }),
    );
  });

  it('keeps what says what happened', () => {
    const line =
      '{"level":40,"time":1795241344000,"node":"node_01JD","err":{"code":"ECONNREFUSED"},"msg":"redis connection lost"}';
    expect(redact(line)).toBe(line);
    expect(redact('qwen3:0.6b on den: out of memory, needs 12.0 GiB')).toBe('qwen3:0.6b on den: out of memory, needs 12.0 GiB');
  });
});
