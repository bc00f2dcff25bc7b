import { describe, expect, it } from 'vitest';
import type { Reach } from '../nodes/node-session.ts';
import type { Clock } from './clock.ts';
import { Quarantine, type StrikeChange } from './quarantine.ts';

const clock: Clock = { nowMs: () => 1_000, wallMs: () => 1_000, after: () => () => {} };
const store = { add: async () => 1, all: async () => new Map<string, number>() };
const newQuarantine = () => new Quarantine({ store, clock });

describe('a request whose node was lost', () => {
  it('is suspicious, and blocked after the second time', () => {
    const quarantine = newQuarantine();
    quarantine.nodeReturned('left', 'agent-1');
    quarantine.started('request', 'left');
    quarantine.ended('request', 'left', 'agent-1', 'node_lost');
    expect(quarantine.permission('request').kind).toBe('alone');
    quarantine.started('request', 'right');
    quarantine.ended('request', 'right', 'agent-2', 'node_lost');
    expect(quarantine.permission('request').kind).toBe('blocked');
  });

  it('is free again when the node returns with the same agent process', () => {
    const quarantine = newQuarantine();
    quarantine.started('request', 'left');
    quarantine.ended('request', 'left', 'agent-1', 'node_lost');
    quarantine.nodeReturned('left', 'agent-1');
    expect(quarantine.permission('request').kind).toBe('free');
  });

  it('is not suspected when the node had returned with the same agent process before its loss was noticed', () => {
    const quarantine = newQuarantine();
    quarantine.nodeReturned('left', 'agent-1');
    quarantine.started('request', 'left');
    quarantine.nodeReturned('left', 'agent-1');
    quarantine.ended('request', 'left', 'agent-1', 'node_lost');
    expect(quarantine.permission('request').kind).toBe('free');
  });

  it('is suspected when the node had returned with another agent process before its loss was noticed', () => {
    const quarantine = newQuarantine();
    quarantine.nodeReturned('left', 'agent-1');
    quarantine.started('request', 'left');
    quarantine.nodeReturned('left', 'agent-2');
    quarantine.ended('request', 'left', 'agent-1', 'node_lost');
    expect(quarantine.permission('request').kind).toBe('alone');
  });

  it('is suspected when it was started after the return', () => {
    const quarantine = newQuarantine();
    quarantine.nodeReturned('left', 'agent-1');
    quarantine.started('request', 'left');
    quarantine.ended('request', 'left', 'agent-1', 'node_lost');
    expect(quarantine.permission('request').kind).toBe('alone');
  });
});

describe('a request that nodes were lost with before they had accepted it', () => {
  const lose = (quarantine: Quarantine, nodeId: string, reach: Reach = 'wire') => {
    quarantine.started('request', nodeId);
    quarantine.ended('request', nodeId, `agent-${nodeId}`, 'node_lost', reach);
  };

  it('is suspicious, however many they are, also when one more has accepted it', () => {
    const quarantine = newQuarantine();
    for (const nodeId of ['a', 'b', 'c']) lose(quarantine, nodeId);
    lose(quarantine, 'd', 'node');
    expect(quarantine.permission('request').kind).toBe('alone');
    lose(quarantine, 'e', 'node');
    expect(quarantine.permission('request').kind).toBe('blocked');
  });

  it('is not suspected of what it was never sent to', () => {
    const quarantine = newQuarantine();
    for (const nodeId of ['a', 'b']) lose(quarantine, nodeId, 'nowhere');
    for (const nodeId of ['a', 'b']) quarantine.nodeReturned(nodeId, 'another');
    expect(quarantine.permission('request').kind).toBe('free');
  });

  it('is free again once it has been answered', () => {
    const quarantine = newQuarantine();
    lose(quarantine, 'a');
    quarantine.started('request', 'b');
    quarantine.ended('request', 'b', 'agent-b', 'end');
    expect(quarantine.permission('request').kind).toBe('free');
    quarantine.nodeReturned('a', 'agent-a');
    expect(quarantine.permission('request').kind).toBe('free');
  });

  it('that has been answered is struck by what happens later, whoever returns meanwhile', () => {
    const quarantine = newQuarantine();
    lose(quarantine, 'a', 'node');
    quarantine.started('request', 'b');
    quarantine.ended('request', 'b', 'agent-b', 'end');
    lose(quarantine, 'c', 'node');
    quarantine.nodeReturned('a', 'agent-a');
    expect(quarantine.permission('request').kind).toBe('alone');
  });

  it('is free again when all of them have returned with the same agent process, and not before', () => {
    const quarantine = newQuarantine();
    for (const nodeId of ['a', 'b']) lose(quarantine, nodeId);
    quarantine.nodeReturned('a', 'agent-a');
    expect(quarantine.permission('request').kind).toBe('alone');
    quarantine.nodeReturned('b', 'agent-b');
    expect(quarantine.permission('request').kind).toBe('free');
  });

  it('is free again when they have returned with another agent process, be it before their loss was noticed', () => {
    const quarantine = newQuarantine();
    for (const nodeId of ['a', 'b']) lose(quarantine, nodeId);
    for (const nodeId of ['a', 'b']) quarantine.nodeReturned(nodeId, 'another');
    quarantine.started('request', 'c');
    quarantine.nodeReturned('c', 'another');
    quarantine.ended('request', 'c', 'agent-c', 'node_lost', 'wire');
    expect(quarantine.permission('request').kind).toBe('free');
  });
});

describe('a request that nobody has seen succeed', () => {
  it('runs on two engines at most, and a node that came back has another one', () => {
    const quarantine = newQuarantine();
    quarantine.nodeReturned('left', 'agent-1');
    quarantine.started('request', 'left');
    expect(quarantine.permission('request').kind).toBe('free');
    quarantine.started('request', 'right');
    expect(quarantine.permission('request')).toEqual({ kind: 'confined', nodes: new Set(['left', 'right']) });
    // Its old engine died of the copy, and the news of that is on its way.
    quarantine.nodeReturned('left', 'agent-2');
    expect(quarantine.permission('request')).toEqual({ kind: 'confined', nodes: new Set(['right']) });
  });
});

describe('with several replicas', () => {
  /** A store that both count in, which may be away, and each hears of the other. */
  const setUp = () => {
    const counts = new Map<string, number>();
    const told = new Set<string>();
    let isAway = false;
    let isDumb = false;
    let onItsWay: Promise<void> | null = null;
    const shared = {
      add: async ({ id, fingerprint, change }: StrikeChange) => {
        if (isAway) throw new Error('away');
        const count = (counts.get(fingerprint) ?? 0) + (told.has(id) ? 0 : change);
        told.add(id);
        counts.set(fingerprint, count);
        if (isDumb) throw new Error('its answer was lost');
        return count;
      },
      all: async () => {
        if (isAway) throw new Error('away');
        const answer = new Map(counts);
        await onItsWay;
        return answer;
      },
    };
    const all: Quarantine[] = [];
    const start = () => {
      const quarantine: Quarantine = new Quarantine({
        ...{ store: shared, clock },
        onTold: (fingerprint, change) => {
          for (const other of all) if (other !== quarantine) other.hear(fingerprint, change);
        },
      });
      all.push(quarantine);
      return quarantine;
    };
    const crash = (quarantine: Quarantine, nodeId: string) => {
      quarantine.started('request', nodeId);
      quarantine.ended('request', nodeId, 'agent-1', 'engine_crashed');
    };
    const settled = async () => {
      for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    };
    return {
      ...{ counts, start, crash, settled },
      away: (yes: boolean) => {
        isAway = yes;
      },
      dumb: (yes: boolean) => {
        isDumb = yes;
      },
      /** Answers are read now and arrive when the function that is returned is called. */
      slow: () => {
        const { promise, resolve } = Promise.withResolvers<void>();
        onItsWay = promise;
        return () => {
          onItsWay = null;
          resolve();
        };
      },
    };
  };

  it('a strike counts once, also when the store took it and its answer was lost', async () => {
    const { counts, start, crash, settled, dumb } = setUp();
    const quarantine = start();
    dumb(true);
    crash(quarantine, 'left');
    await settled();
    dumb(false);
    await quarantine.refresh();
    expect(counts).toEqual(new Map([['request', 1]]));
    expect(quarantine.permission('request').kind).toBe('alone');
  });

  it('a strike counts everywhere at once', async () => {
    const { start, crash, settled } = setUp();
    const [one, two] = [start(), start()];
    crash(one, 'left');
    await settled();
    expect(two.permission('request').kind).toBe('alone');
    crash(two, 'right');
    await settled();
    expect(one.permission('request').kind).toBe('blocked');
  });

  it('one that is taken back is so everywhere', async () => {
    const { counts, start, settled } = setUp();
    const [one, two] = [start(), start()];
    one.started('request', 'left');
    one.ended('request', 'left', 'agent-1', 'node_lost');
    await settled();
    one.nodeReturned('left', 'agent-1');
    await settled();
    expect([one, two].map((quarantine) => quarantine.permission('request').kind)).toEqual(['free', 'free']);
    expect(counts.get('request')).toBe(0);
  });

  it('those that two count at the same moment are both known to both, and when they are taken back the one before them is left', async () => {
    const { counts, start, crash, settled, slow } = setUp();
    const [one, two] = [start(), start()];
    crash(one, 'first');
    await settled();
    const arrive = slow();
    const lose = (quarantine: Quarantine, nodeId: string) => {
      quarantine.started('request', nodeId);
      quarantine.ended('request', nodeId, 'agent-1', 'node_lost');
    };
    lose(one, 'left');
    await settled();
    // The other has asked the store by now, whose answer knows nothing of this.
    lose(two, 'right');
    await settled();
    arrive();
    await settled();
    expect(counts.get('request')).toBe(3);
    one.nodeReturned('left', 'agent-1');
    await settled();
    expect([one, two].map((quarantine) => quarantine.permission('request').kind)).toEqual(['blocked', 'blocked']);
    two.nodeReturned('right', 'agent-1');
    await settled();
    expect([one, two].map((quarantine) => quarantine.permission('request').kind)).toEqual(['alone', 'alone']);
  });

  it('one that is taken back while the store is asked is not taken over from its answer', async () => {
    const { counts, start, settled, slow } = setUp();
    const [one, two] = [start(), start()];
    one.started('request', 'left');
    one.ended('request', 'left', 'agent-1', 'node_lost');
    await settled();
    const arrive = slow();
    const [asked, askedToo] = [one.refresh(), two.refresh()];
    await settled();
    one.nodeReturned('left', 'agent-1');
    await settled();
    arrive();
    await Promise.all([asked, askedToo]);
    await settled();
    expect(counts.get('request')).toBe(0);
    expect([one, two].map((quarantine) => quarantine.permission('request').kind)).toEqual(['free', 'free']);
  });

  it('those that nobody could be told of are told when the store is back, each once', async () => {
    const { counts, start, crash, settled, away } = setUp();
    const [one, two] = [start(), start()];
    away(true);
    crash(one, 'left');
    crash(one, 'right');
    await settled();
    expect(two.permission('request').kind).toBe('free');
    away(false);
    await one.refresh();
    await settled();
    expect(two.permission('request').kind).toBe('blocked');
    expect(counts.get('request')).toBe(2);
  });

  it('a store that has forgotten acquits nobody', async () => {
    const { counts, start, crash, settled } = setUp();
    const one = start();
    crash(one, 'left');
    await settled();
    counts.clear();
    await one.refresh();
    expect(one.permission('request').kind).toBe('alone');
  });
});
