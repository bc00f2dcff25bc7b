import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import type { Outcome, Reach } from '../nodes/node-session.ts';
import { FrameStream } from '../streams/frame-stream.ts';
import { decodeEnvelope, encodeEnvelope, encodeItem, type Item } from './envelope.ts';
import { Relay } from './relay.ts';

const EPOCH = 7;
const REQUEST = {
  ...({ attemptId: 'a', requestId: 'r', route: 'chat.completions', model: 'm', acceptMs: 750 } as const),
  body: Buffer.from('{}'),
  deadlines: { firstContentMs: 1_000, stallMs: 1_000, totalMs: 1_000 },
};

/** Two replicas that hear each other at once; the test plays the node that is connected to the second one. */
const pair = ({ epoch = EPOCH }: { epoch?: number } = {}) => {
  const node = {
    frames: new FrameStream(),
    settled: Promise.withResolvers<Outcome>(),
    reach: 'wire' as Reach,
    isAsked: false,
    accept: () => {},
  };
  const session = {
    epoch,
    startAttempt: (_request: unknown, onAccepted: () => void) => {
      node.isAsked = true;
      node.accept = () => {
        node.reach = 'node';
        onAccepted();
      };
      return { frames: node.frames, settled: node.settled.promise, reach: () => node.reach };
    },
  };
  const relays: Record<string, Relay> = {};
  const replica = (id: string) => {
    const send = (to: string, item: Item) => {
      // As over Redis: as bytes.
      const heard = decodeEnvelope(encodeEnvelope(id, [encodeItem(item)]));
      for (const each of heard?.items ?? []) queueMicrotask(() => relays[to]?.take(id, each));
    };
    relays[id] = new Relay({
      replicas: { send, onBeat: () => {} } as never,
      session: () => session as never,
      release: () => {},
      log: pino({ level: 'silent' }),
    });
    return relays[id];
  };
  replica('owner');
  const origin = replica('origin');
  const link = origin.link({ nodeId: 'n', epoch: EPOCH, instanceId: 'i', replicaId: 'owner' } as never);
  const lose = () => {
    node.frames.push({ kind: 'failed', code: 'node_lost', message: '' });
    node.settled.resolve('node_lost');
  };
  return { node, origin, lose, running: link.startAttempt(REQUEST) };
};

const lastOf = async (frames: AsyncIterable<unknown>) => {
  let last: unknown;
  for await (const frame of frames) last = frame;
  return last;
};

describe('an attempt on a node of another replica that is lost', () => {
  it.each<Reach>(['wire', 'node'])('tells that it had come as far as the %s', async (reach) => {
    const { node, lose, running } = pair();
    await expect.poll(() => node.isAsked).toBe(true);
    if (reach === 'node') node.accept();
    lose();
    expect(await lastOf(running.frames)).toMatchObject({ code: 'node_lost' });
    expect([running.reach(), await running.settled]).toEqual([reach, 'node_lost']);
  });

  it('tells that it was never sent to a node that has connected anew', async () => {
    const { node, running } = pair({ epoch: EPOCH + 1 });
    expect(await lastOf(running.frames)).toMatchObject({ code: 'node_lost' });
    expect([node.isAsked, running.reach()]).toEqual([false, 'nowhere']);
  });

  it('has come as far as was said before the other replica was gone', async () => {
    for (const reach of ['wire', 'node']) {
      const { node, origin, running } = pair();
      await expect.poll(() => node.isAsked).toBe(true);
      if (reach === 'node') node.accept();
      await expect.poll(() => running.reach()).toBe(reach);
      origin.replicaGone('owner');
      expect(await lastOf(running.frames)).toMatchObject({ code: 'node_lost' });
      expect(running.reach()).toBe(reach);
    }
  });
});
