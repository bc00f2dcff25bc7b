import type { AddressInfo } from 'node:net';
import type { Frame } from '@lai/shared/attempt';
import { encodeData, STREAM_WINDOW_BYTES } from '@lai/shared/protocol/codec';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { NodeSession } from './node-session.ts';

const DEADLINES = { firstContentMs: 10_000, stallMs: 10_000, totalMs: 60_000 };
type Start = { type: string; attemptId: string; stream: number };

/** A session and the node's end of its socket: a program that does with each attempt as the test says. */
const connect = async (onStart: (start: Start, node: WebSocket) => void) => {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  onTestFinished(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  const accepted = new Promise<WebSocket>((resolve) => server.once('connection', resolve));
  await new Promise((resolve) => server.once('listening', resolve));
  const node = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const heard: { type: string; message?: string }[] = [];
  node.on('message', (data, isBinary) => {
    if (isBinary) return;
    const message = JSON.parse(String(data));
    heard.push(message);
    if (message.type === 'attempt.start') onStart(message, node);
  });
  const nodeClosed = new Promise<number>((resolve) => node.once('close', resolve));
  const socket = await accepted;
  const misbehaved: string[] = [];
  const closed = Promise.withResolvers<void>();
  const session = new NodeSession({
    ...{ nodeId: 'node_1', epoch: 1, instanceId: 'i', socket },
    wire: { cork: () => {}, uncork: () => {} },
    events: {
      snapshot: () => {},
      unreadable: () => {},
      liveness: () => {},
      misbehaved: (reason) => misbehaved.push(reason),
      closed: closed.resolve,
    },
    log: pino({ level: 'silent' }),
  });
  let attempts = 0;
  const start = (deadlines = DEADLINES) => {
    attempts += 1;
    return session.startAttempt({
      ...{ attemptId: `a${attempts}`, requestId: 'r', route: 'chat.completions', model: 'm' },
      ...{ body: Buffer.from('{}'), deadlines, acceptMs: 10_000 },
    });
  };
  return { session, start, misbehaved, heard, nodeClosed, closed: closed.promise };
};

const say = (node: WebSocket, message: Record<string, unknown>) => node.send(JSON.stringify(message));
const answer = ({ attemptId, stream }: Start, node: WebSocket) => {
  say(node, { type: 'attempt.accept', attemptId });
  node.send(encodeData('content', stream, Buffer.from('data: {}\n\n')));
  say(node, { type: 'attempt.end', attemptId, finishReason: 'stop', usage: null, timings: null });
};
const last = async (frames: AsyncIterable<Frame>): Promise<Frame | undefined> => {
  let frame: Frame | undefined;
  for await (frame of frames);
  return frame;
};

describe('NodeSession', () => {
  it('takes the answers to as many attempts as it starts, however many that are in a second', async () => {
    const { start, misbehaved } = await connect(answer);
    // 64 in flight; more messages than an agent may send of its own accord.
    let left = 3_000;
    const client = async () => {
      for (; left > 0; left -= 1) expect((await last(start().frames))?.kind).toBe('end');
    };
    await Promise.all(Array.from({ length: 64 }, client));
    expect(misbehaved).toEqual([]);
  });

  it('ends every attempt as an error of the engine, and says why, when the node sends without credit', async () => {
    const { start, misbehaved, heard, nodeClosed, closed } = await connect(({ attemptId, stream }, node) => {
      say(node, { type: 'attempt.accept', attemptId });
      if (attemptId !== 'a2') return;
      for (let sent = 0; sent < 8; sent += 1) node.send(encodeData('content', stream, Buffer.alloc(1024 * 1024)));
    });
    const [quiet, flooded] = [start(), start()];
    expect(await quiet.settled).toBe('engine_error');
    expect(await flooded.settled).toBe('engine_error');
    expect(await last(quiet.frames)).toMatchObject({ kind: 'failed', code: 'engine_error' });
    expect(misbehaved).toEqual([expect.stringContaining('credit')]);
    await closed;
    expect(await nodeClosed).toBe(1_008);
    expect(heard.at(-1)).toMatchObject({ type: 'node.reject', message: expect.stringContaining('credit') });
  });

  it('goes on with an attempt whose reader is slow, as long as the node keeps to its credit', async () => {
    const { start, misbehaved } = await connect(({ attemptId, stream }, node) => {
      say(node, { type: 'attempt.accept', attemptId });
      node.send(encodeData('content', stream, Buffer.alloc(STREAM_WINDOW_BYTES)));
      node.on('message', (data, isBinary) => {
        if (isBinary || JSON.parse(String(data)).type !== 'attempt.credit') return;
        say(node, { type: 'attempt.end', attemptId, finishReason: 'stop', usage: null, timings: null });
      });
    });
    const { frames, settled } = start();
    expect((await frames.next()).value).toMatchObject({ kind: 'chunk' });
    expect(await settled).toBe('end');
    expect(misbehaved).toEqual([]);
  });

  it('gives up an attempt that a node accepts and then says nothing about', async () => {
    const { start } = await connect(({ attemptId }, node) => say(node, { type: 'attempt.accept', attemptId }));
    const { frames } = start({ firstContentMs: 1, stallMs: 1, totalMs: 60_000 });
    expect(await last(frames)).toMatchObject({ kind: 'failed', code: 'first_token_timeout' });
  });

  it('gives up an attempt that falls silent in the middle of its answer', async () => {
    const { start } = await connect(({ attemptId, stream }, node) => {
      say(node, { type: 'attempt.accept', attemptId });
      node.send(encodeData('content', stream, Buffer.from('data: {}\n\n')));
    });
    const { frames } = start({ firstContentMs: 60_000, stallMs: 1, totalMs: 60_000 });
    expect(await last(frames)).toMatchObject({ kind: 'failed', code: 'stall_timeout' });
  });
});
