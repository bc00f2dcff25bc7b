import { describe, expect, it } from 'vitest';
import { Distrust } from './distrust.ts';

const MINUTE = 60_000;

describe('Distrust', () => {
  it('holds a node for a minute, then twice as long each time, an hour at most', () => {
    const distrust = new Distrust();
    let nowMs = 0;
    const minutes = Array.from({ length: 9 }, () => {
      distrust.record('n', 'sent 5 MiB without credit', nowMs);
      const hold = distrust.holdOn('n', nowMs);
      nowMs = hold?.untilMs ?? 0;
      expect(distrust.holdOn('n', nowMs)).toBeNull();
      return ((hold?.untilMs ?? 0) - (hold?.sinceMs ?? 0)) / MINUTE;
    });
    expect(minutes).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60]);
  });

  it('says what the node did and how often', () => {
    const distrust = new Distrust();
    distrust.record('n', 'flooded', 0);
    expect(distrust.holdOn('n', 1)).toMatchObject({ kind: 'distrusted', cause: 'this node flooded' });
    distrust.record('n', 'flooded', 2);
    expect(distrust.holdOn('n', 3)?.cause).toBe('this node flooded, 2 times within a day');
    expect(distrust.holdOn('other', 3)).toBeNull();
  });

  it('asks for a lock at the twentieth time within a day of each other', () => {
    const distrust = new Distrust();
    const locks = Array.from({ length: 20 }, (_, at) => distrust.record('n', 'flooded', at * MINUTE));
    expect(locks.indexOf(true)).toBe(19);
  });

  it('begins anew after a quiet day, and when an operator approves the node', () => {
    const distrust = new Distrust();
    distrust.record('n', 'flooded', 0);
    distrust.record('n', 'flooded', 25 * 60 * MINUTE);
    expect(distrust.holdOn('n', 25 * 60 * MINUTE)?.untilMs).toBe(25 * 60 * MINUTE + MINUTE);
    distrust.forgive('n');
    expect(distrust.holdOn('n', 25 * 60 * MINUTE)).toBeNull();
  });
});
