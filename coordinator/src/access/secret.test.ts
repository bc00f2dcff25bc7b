import { describe, expect, it } from 'vitest';
import { equalSecrets, randomHex, sha256 } from './secret.ts';

describe('secrets', () => {
  it('are random, in hex, of the length that was asked for', () => {
    expect(randomHex(16)).toMatch(/^[0-9a-f]{32}$/);
    expect(new Set(Array.from({ length: 100 }, () => randomHex(6))).size).toBe(100);
  });

  it('are stored as SHA-256', () => {
    expect(sha256('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(sha256('')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });

  it.each([
    ['a', 'a', true],
    ['', '', true],
    ['a', 'b', false],
    ['a', 'aa', false],
    ['aa', 'a', false],
    ['ü', 'u', false],
    ['€', 'abc', false],
  ])('%j and %j are equal: %j', (a, b, areEqual) => {
    expect(equalSecrets(a, b)).toBe(areEqual);
  });
});
