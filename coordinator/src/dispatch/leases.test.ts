import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import type { LeaseAnswer, LeaseRequest, LeaseStore } from './lease-store.ts';
import { Leases } from './leases.ts';

/** A store that answers when it is told to, in order, like Redis. */
const startStore = () => {
  const asked: { readonly request: LeaseRequest; readonly answer: (answer: LeaseAnswer) => void }[] = [];
  const renewed: string[] = [];
  const returned: string[] = [];
  let isUp = true;
  let onUp = () => {};
  const store: LeaseStore = {
    isUp: () => isUp,
    onUp: (listener) => {
      onUp = listener;
    },
    claim: (request) => new Promise((answer) => asked.push({ request, answer })),
    renew: async ({ id }) => void renewed.push(id),
    release: async ({ id }) => void returned.push(id),
  };
  const setUp = (up: boolean) => {
    isUp = up;
    if (up) onUp();
  };
  return { store, asked, renewed, returned, setUp };
};

const startLeases = () => {
  const timers: { readonly atMs: number; call: (() => void) | null }[] = [];
  const time = { nowMs: 1_000_000 };
  const clock = {
    nowMs: () => time.nowMs,
    wallMs: () => time.nowMs,
    after: (ms: number, call: () => void) => {
      const timer: (typeof timers)[number] = { atMs: time.nowMs + ms, call };
      timers.push(timer);
      return () => {
        timer.call = null;
      };
    },
  };
  const pass = (ms: number) => {
    time.nowMs += ms;
    for (const timer of [...timers]) {
      if (timer.atMs > time.nowMs) continue;
      timers.splice(timers.indexOf(timer), 1);
      timer.call?.();
    }
  };
  const fake = startStore();
  return { ...fake, leases: new Leases({ store: fake.store, clock, log: pino({ level: 'silent' }) }), pass };
};

const slot = (id: string, nodeId = 'node-1'): LeaseRequest => ({
  ...{ id, nodeId, model: 'llama', epoch: 1, nodeSlots: 2, modelSlots: 2 },
});
const answer = (kind: LeaseAnswer['kind'], taken: number): LeaseAnswer => ({ kind, nodeTaken: taken, modelTaken: taken });

describe('slots that others hold', () => {
  test('are known from a refusal, which does not count itself', async () => {
    const { leases, asked } = startLeases();
    const claim = leases.claim(slot('a'));
    expect(leases.taken('node-1').total).toBe(1); // reserved
    asked[0]?.answer(answer('full', 2));
    expect(await claim).toBe('full');
    expect(leases.taken('node-1')).toEqual({ total: 2, byModel: new Map([['llama', 2]]) });
  });

  test('are not mixed up with what we are claiming at the same time', async () => {
    const { leases, asked } = startLeases();
    const claims = [leases.claim(slot('a')), leases.claim(slot('b')), leases.claim(slot('c'))];
    asked[0]?.answer(answer('taken', 2)); // one of somebody else's, and this one
    asked[1]?.answer(answer('full', 2));
    asked[2]?.answer(answer('full', 2));
    expect(await Promise.all(claims)).toEqual(['taken', 'full', 'full']);
    expect(leases.taken('node-1').total).toBe(2);
  });

  test('are not mixed up with what we gave back while we asked', async () => {
    const { leases, asked } = startLeases();
    const first = leases.claim(slot('a'));
    asked[0]?.answer(answer('taken', 1));
    await first;
    const second = leases.claim(slot('b'));
    leases.release(slot('a'));
    asked[1]?.answer(answer('taken', 2)); // counted before the release came
    await second;
    expect(leases.taken('node-1').total).toBe(1);
  });

  test('are believed for half a second, and forgotten when others say that something is free', async () => {
    const { leases, asked, pass } = startLeases();
    const refused = async (id: string) => {
      const claim = leases.claim(slot(id));
      asked.at(-1)?.answer(answer('full', 2));
      await claim;
    };
    await refused('a');
    pass(501);
    expect(leases.taken('node-1').total).toBe(0);
    await refused('b');
    leases.forgetOthers('node-1');
    expect(leases.taken('node-1').total).toBe(0);
  });
});

describe('a refusal', () => {
  test('keeps the place contested for a moment, for that model alone', async () => {
    const { leases, asked, pass } = startLeases();
    const claim = leases.claim(slot('a'));
    asked[0]?.answer(answer('full', 2));
    await claim;
    expect(leases.isContested('node-1', 'llama')).toBe(true);
    expect(leases.isContested('node-1', 'qwen')).toBe(false);
    pass(51);
    expect(leases.isContested('node-1', 'llama')).toBe(false);
  });
});

describe('what was handed over', () => {
  test('is taken back from a replica that is gone, for as long as it may not have heard of it', () => {
    const { leases, returned, pass } = startLeases();
    for (const [id, to] of [
      ['old', 'b'],
      ['a', 'b'],
      ['c', 'd'],
    ] as const) {
      leases.adopt(slot(id));
      leases.handOver(slot(id), to);
      if (id === 'old') pass(15_001);
    }
    expect(leases.held).toBe(0);
    expect(leases.takeBack('b').map(({ id }) => id)).toEqual(['a']);
    expect(leases.takeBack('b')).toEqual([]);
    expect(leases.takeBack('d').map(({ id }) => id)).toEqual(['c']);
    expect(returned).toEqual([]);
  });
});

describe('what is held', () => {
  test('is renewed every five seconds, but not while its claim is on the way', async () => {
    const { leases, asked, renewed, pass } = startLeases();
    const claim = leases.claim(slot('a'));
    void leases.claim(slot('b'));
    asked[0]?.answer(answer('taken', 1));
    await claim;
    pass(5_001);
    expect(renewed).toEqual(['a']);
  });

  test('is renewed at once when the store is back: it may have been away for most of a lease', async () => {
    const { leases, asked, renewed, setUp } = startLeases();
    const claim = leases.claim(slot('a'));
    asked[0]?.answer(answer('taken', 1));
    await claim;
    setUp(false);
    setUp(true);
    expect(renewed).toEqual(['a']);
  });

  test('and given back while the store was away is given back when it returns', async () => {
    const { leases, asked, returned, setUp } = startLeases();
    const claim = leases.claim(slot('a'));
    asked[0]?.answer(answer('taken', 1));
    await claim;
    setUp(false);
    leases.release(slot('a'));
    expect(leases.held).toBe(0);
    expect(returned).toEqual([]);
    setUp(true);
    await expect.poll(() => returned).toEqual(['a']);
  });
});
