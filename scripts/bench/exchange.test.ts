import { createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { streamHead, streamTail, streamToken, TOKEN } from './engine-answers.ts';
import { Line, requestBytes, TokenCount } from './exchange.ts';
import { arrivalTimes } from './load-patterns.ts';
import type { LoadSpec } from './load-spec.ts';

const wish = { isStream: true, wantsUsage: false, tokens: 3, tps: 0, firstTokenMs: 0 };
const whole = Buffer.concat([streamHead, streamToken, streamToken, streamToken, streamTail(wish)]);

let close = async () => {};
afterEach(() => close());

/** An engine that answers each connection's request with these bytes, then hangs up if told to. */
const askScripted = async (bytes: Buffer, hangsUp = false) => {
  const open = new Set<Socket>();
  const listener = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {});
    socket.once('data', () => (hangsUp ? socket.end(bytes) : socket.write(bytes)));
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  close = async () => {
    for (const socket of open) socket.destroy();
    await new Promise((resolve) => listener.close(resolve));
  };
  const address = listener.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const spec: LoadSpec = {
    endpoint: { url: `http://127.0.0.1:${port}/v1/chat/completions`, headers: {} },
    pattern: { kind: 'closed', inFlight: 1, durationMs: 1 },
    isStream: true,
    tokens: 3,
    tps: 0,
    firstTokenMs: 0,
    pids: {},
  };
  const line = await Line.open(spec, { content: () => {} });
  const exchange = await line.ask(requestBytes(spec));
  line.close();
  return exchange;
};

describe('an exchange', () => {
  it('is fine when all tokens and the terminator came', async () => {
    const exchange = await askScripted(whole);
    expect(exchange).toMatchObject({ problem: null, tokens: 3 });
    expect(exchange.firstContentMs).toBeGreaterThanOrEqual(exchange.headersMs);
    expect(exchange.endedMs).toBeGreaterThanOrEqual(exchange.firstContentMs);
  });

  it.each([
    ['a token is missing', Buffer.concat([streamHead, streamToken, streamToken, streamTail(wish)]), /incomplete: 2 of 3 tokens/],
    [
      'it ends cleanly without a terminator',
      Buffer.concat([streamHead, streamToken, streamToken, streamToken, Buffer.from('0\r\n\r\n')]),
      /no \[DONE\]/,
    ],
    ['the status says so', Buffer.from('HTTP/1.1 503 Busy\r\ncontent-length: 2\r\n\r\n{}'), /HTTP 503/],
    ['it is no HTTP', Buffer.from('hello\r\n\r\n'), /not HTTP/],
  ])('is an error when %s', async (_, bytes, problem) => {
    expect((await askScripted(bytes)).problem).toMatch(problem);
  });

  it('is an error when the connection ends in it', async () => {
    expect((await askScripted(whole.subarray(0, -20), true)).problem).toMatch(/closed in an answer/);
  });
});

describe('TokenCount', () => {
  it('counts the same wherever the bytes are cut', () => {
    const text = `data: {"content":"${TOKEN}"}\n\n`.repeat(7) + TOKEN.repeat(5);
    for (const size of [1, 2, 3, 4, 5, 17, 1_000]) {
      const count = new TokenCount();
      let found = 0;
      for (let at = 0; at < text.length; at += size) found += count.push(Buffer.from(text.slice(at, at + size)));
      expect(found).toBe(12);
    }
  });
});

describe('arrivals', () => {
  it('are the same for the same seed, and about as many as asked for', () => {
    const pattern = { perSecond: 50, durationMs: 60_000, seed: 7 };
    expect(arrivalTimes(pattern)).toEqual(arrivalTimes(pattern));
    expect(arrivalTimes({ ...pattern, seed: 8 })).not.toEqual(arrivalTimes(pattern));
    expect(Math.abs(arrivalTimes(pattern).length - 3_000)).toBeLessThan(200);
  });
});
