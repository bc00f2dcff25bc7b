import { describe, expect, it } from 'vitest';
import { keyOf, splitKeyPath } from './credentials.ts';

const KEY = `lai_${'0a'.repeat(16)}`;
const OTHER = `lai_${'0b'.repeat(16)}`;

describe('a key in the path', () => {
  it.each([
    [`/k/${KEY}/v1/models`, KEY, '/v1/models'],
    [`/k/${KEY}`, KEY, '/'],
    [`/k/${KEY}/`, KEY, '/'],
    [`/k/${KEY}//v1/models`, KEY, '//v1/models'],
    ['/k/sk-something-secret/v1/models', 'sk-something-secret', '/v1/models'],
    [`/k/${KEY}/a\r\nb`, KEY, '/a\r\nb'],
    ['/k/', '', '/'],
    ['/k', undefined, '/k'],
    ['/v1/k/x/models', undefined, '/v1/k/x/models'],
    ['/', undefined, '/'],
  ])('%s: key %s, path %s', (whole, key, path) => {
    expect(splitKeyPath(whole)).toEqual({ key, path });
  });
});

describe('the key of a request', () => {
  it.each<[Parameters<typeof keyOf>[0], string | null]>([
    [{}, null],
    [{ authorization: `Bearer ${KEY}` }, KEY],
    [{ authorization: KEY }, KEY],
    [{ xApiKey: KEY }, KEY],
    [{ inPath: KEY }, KEY],
    [{ authorization: 'Bearer ollama', inPath: KEY }, KEY],
    [{ authorization: '', xApiKey: KEY }, KEY],
    [{ authorization: `Bearer ${KEY}`, xApiKey: KEY }, KEY],
    [{ authorization: `Bearer ${KEY}`, xApiKey: OTHER }, null],
    [{ inPath: KEY, xApiKey: OTHER }, null],
    [{ authorization: 'Bearer lai_short' }, null],
    [{ inPath: "' or 1=1 --" }, null],
  ])('%j: %s', (request, key) => {
    expect(keyOf(request)).toBe(key);
  });
});
