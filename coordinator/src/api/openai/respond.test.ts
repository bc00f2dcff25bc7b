import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Frame } from '@lai/shared/attempt';
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import type { Answer } from '../../dispatch/dispatcher.ts';
import { UnreadableAnswer } from './chunk-reader.ts';
import { errorResponse } from './error-envelope.ts';
import { type Ending, respondCollected, respondStreaming } from './respond.ts';
import { collected, passThrough, type StreamWording, type WholeWording } from './wording.ts';

const chunk = (text: string, kind: 'prelude' | 'content' | 'usage' = 'content'): Frame => ({
  kind: 'chunk',
  chunk: kind,
  bytes: Buffer.from(text),
});
const end: Frame = { kind: 'end', finishReason: 'stop', usage: null, timings: null };

describe('an answer', () => {
  let server: Server | undefined;
  afterEach(() => void server?.close());

  /** What a client gets of frames that are said so, whole: fetch rejects a body that is torn off. */
  const said = async (wording: StreamWording | WholeWording, frames: readonly Frame[]) => {
    let wasEnded = false;
    const { promise: ending, resolve } = Promise.withResolvers<Ending | null>();
    server = createServer((_, response) => {
      const answer: Answer = {
        frames: (async function* () {
          try {
            yield* frames;
          } finally {
            wasEnded = true;
          }
        })(),
        trail: { attempts: [], queueMs: null } as unknown as Answer['trail'],
        waiting: () => null,
      };
      const options = {
        ...{ answer, response, requestId: 'req_1', log: pino({ level: 'silent' }) },
        reword: (failure: Extract<Frame, { kind: 'failed' }>) => failure,
      };
      const done =
        wording.kind === 'stream'
          ? respondStreaming({ ...options, wording, keepAliveMs: 10_000, abandon: () => response.destroy() })
          : respondCollected({ ...options, wording });
      void done.then(resolve);
    });
    await new Promise<void>((listening) => server?.listen(0, '127.0.0.1', listening));
    const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    return { status: response.status, text: await response.text(), ending: await ending, wasEnded };
  };

  const broken = (): never => {
    throw new TypeError("Cannot read properties of null (reading 'content')");
  };
  const unreadable = (): never => {
    throw new UnreadableAnswer('no chunk');
  };
  const stream = (wording: Partial<StreamWording>): StreamWording => ({ ...passThrough({ includeUsage: true }), ...wording });
  const afterFirst = (fail: () => never) => {
    let count = 0;
    return (_: unknown, bytes: Uint8Array) => {
      count += 1;
      return count > 1 ? fail() : bytes;
    };
  };

  it.each([
    ['in mid-answer, for a fault of ours', stream({ chunk: afterFirst(broken) }), 'internal_error'],
    ['in mid-answer, for bytes that are no answer', stream({ chunk: afterFirst(unreadable) }), 'engine_error'],
    ['at the end', stream({ end: broken }), 'internal_error'],
  ])('that cannot be said %s ends its stream with one error', async (_, wording, code) => {
    const { status, text, ending, wasEnded } = await said(wording, [chunk('data: {}\n\n'), chunk('data: {}\n\n'), end]);
    expect(status).toBe(200);
    expect(text).toMatch(/^data: \{\}\n\n/);
    expect(text.match(/"error":/g)).toHaveLength(1);
    expect(text).toContain(`"code":"${code}"`);
    expect(text).not.toContain('[DONE]');
    expect(ending).toMatchObject({ kind: 'failed', code });
    expect(wasEnded).toBe(true);
  });

  it.each([
    ['before its first word', stream({ chunk: broken }), 500],
    ['that is no answer', stream({ chunk: unreadable }), 502],
    ['collected', { kind: 'whole', error: errorResponse, push: broken, finish: () => ({}) } as const, 500],
    ['at its end', collected({ push: () => {}, finish: unreadable }), 502],
  ])('that cannot be said %s is an HTTP error', async (_, wording, status) => {
    const got = await said(wording, [chunk('data: {}\n\n'), end]);
    expect([got.status, JSON.parse(got.text)]).toMatchObject([status, { error: { type: 'server_error' } }]);
    expect(got.wasEnded).toBe(true);
  });

  it.each([
    ['without a word', [end]],
    ['with usage alone', [chunk('data: {}\n\n', 'usage'), end]],
    ['with a reason that finishes nothing', [chunk('data: {}\n\n'), { ...end, finishReason: 'abort' } as Frame]],
    ['without a reason', [chunk('data: {}\n\n'), { ...end, finishReason: null } as Frame]],
  ])('that a node ends %s is none', async (_, frames) => {
    const { text, ending } = await said(passThrough({ includeUsage: true }), frames);
    expect(ending).toMatchObject({ kind: 'failed', code: 'engine_error' });
    expect(text).toContain('"code":"engine_error"');
    expect(text).not.toContain('[DONE]');
  });
});
