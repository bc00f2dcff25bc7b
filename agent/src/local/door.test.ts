import { describe, expect, it } from 'vitest';
import { knock } from './door.ts';

const own = { port: 5241, token: 'sesame-sesame' };
const good = { host: '127.0.0.1:5241', authorization: 'Bearer sesame-sesame' };

describe('the local door', () => {
  it.each([
    ['opens for its owner', good, 'in'],
    ['opens by the machine’s own name', { ...good, host: 'localhost:5241' }, 'in'],
    ['stays shut for a name that was made to point here', { ...good, host: 'evil.example:5241' }, 421],
    ['stays shut for another port', { ...good, host: '127.0.0.1:80' }, 421],
    ['stays shut without a host', { authorization: good.authorization }, 421],
    ['stays shut for web pages', { ...good, origin: 'http://127.0.0.1:5241' }, 403],
    ['stays shut for web pages without an origin', { ...good, 'sec-fetch-site': 'cross-site' }, 403],
    ['stays shut without the token', { host: good.host }, 401],
    ['stays shut for a wrong token', { ...good, authorization: 'Bearer sesame-sesamE' }, 401],
    ['stays shut for a part of the token', { ...good, authorization: 'Bearer sesame' }, 401],
    ['stays shut for another scheme', { ...good, authorization: 'Basic sesame-sesame' }, 401],
  ])('%s', (_, headers, expected) => {
    const verdict = knock(headers, own);
    expect(verdict.kind === 'in' ? 'in' : verdict.status).toBe(expected);
  });
});
