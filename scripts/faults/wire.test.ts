import { once } from 'node:events';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { afterEach, describe, expect, it } from 'vitest';
import type * as Sockets from 'ws';
import { encodeData } from '../../shared/src/protocol/codec.ts';
import { ChaosProxy } from './chaos-proxy.ts';
import { readWire, type WireEvent } from './wire.ts';

// The coordinator's own: scripts have no dependencies at run time.
const { WebSocket, WebSocketServer } = createRequire(new URL('../../coordinator/package.json', import.meta.url))(
  'ws',
) as typeof Sockets;

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** A socket through a proxy that is read along with: both ends, and what was understood. */
const rig = async () => {
  const http = createServer().listen(0, '127.0.0.1');
  await once(http, 'listening');
  const sockets = new WebSocketServer({ server: http, perMessageDeflate: false });
  const address = http.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const events: WireEvent[] = [];
  const proxy = await ChaosProxy.start({
    to: { host: '127.0.0.1', port: address.port },
    tap: readWire((event) => events.push(event)),
  });
  const coordinatorSide = once(sockets, 'connection') as Promise<[Sockets.WebSocket]>;
  const agent = new WebSocket(`ws://127.0.0.1:${proxy.port}`, { perMessageDeflate: false });
  agent.on('error', () => {});
  await once(agent, 'open');
  const [coordinator] = await coordinatorSide;
  stops.push(
    () => http.close(),
    () => proxy.close(),
    () => agent.terminate(),
  );
  return { proxy, agent, coordinator, events };
};

const start = (stream: number) =>
  JSON.stringify({ type: 'attempt.start', attemptId: `a${stream}`, requestId: `req_${stream}`, stream, bodyBytes: 1 });
const body = (text: string) => Buffer.from(JSON.stringify({ messages: [{ role: 'user', content: text }] }));

describe('reading along with a node’s socket', () => {
  it('names the request of a dispatch, also when its body comes in pieces and among others', async () => {
    const { coordinator, events } = await rig();
    const bytes = body('#r-T1-17# tell me');
    coordinator.send(start(3));
    coordinator.send(start(4));
    coordinator.send(encodeData('body', 3, bytes.subarray(0, 40)));
    coordinator.send(encodeData('body-end', 4, body(`${'x'.repeat(70_000)} no marker`)));
    coordinator.send(encodeData('body-end', 3, bytes.subarray(40)));
    await expect
      .poll(() => events.filter(({ kind }) => kind === 'dispatch'))
      .toMatchObject([
        { attemptId: 'a4', requestId: 'req_4', marker: null },
        { attemptId: 'a3', requestId: 'req_3', marker: 'r-T1-17' },
      ]);
  });

  it('understands frames that arrive byte by byte', async () => {
    const { proxy, coordinator, agent, events } = await rig();
    proxy.set('both', { sliceBytes: 1 });
    coordinator.send(start(1));
    coordinator.send(encodeData('body-end', 1, body('#r-x#')));
    agent.send(JSON.stringify({ type: 'attempt.accept', attemptId: 'a1' }));
    await expect
      .poll(() => events)
      .toEqual(
        expect.arrayContaining([
          expect.objectContaining({ kind: 'dispatch', marker: 'r-x' }),
          expect.objectContaining({ kind: 'agent', message: { type: 'attempt.accept', attemptId: 'a1' } }),
        ]),
      );
  });

  it('skips answers and pings, and tells who closed, once', async () => {
    const { coordinator, agent, events } = await rig();
    coordinator.ping();
    agent.send(encodeData('content', 1, Buffer.from('hello')));
    agent.terminate();
    await expect
      .poll(() => events.map((event) => (event.kind === 'closed' ? `closed by ${event.by}` : event.kind)))
      .toEqual(['opened', 'closed by agent']);
  });
});
