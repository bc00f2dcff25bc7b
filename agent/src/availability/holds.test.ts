import type { Hold } from '@lai/shared/node';
import { describe, expect, it } from 'vitest';
import { Holds } from './holds.ts';

const hold = (kind: string, facts: Partial<Hold> = {}): Hold => ({ kind, cause: 'test', sinceMs: 1, untilMs: null, ...facts });

const setUp = () => {
  let changes = 0;
  const holds = new Holds(() => {
    changes += 1;
  });
  return { holds, changes: () => changes };
};

describe('the holds of a node', () => {
  it('are none at first', () => {
    const { holds, changes } = setUp();
    expect(holds.isHeld).toBe(false);
    expect(holds.list()).toEqual([]);
    expect(changes()).toBe(0);
  });

  it('are a set: the node is free again when the last one goes, whatever their order', () => {
    const { holds } = setUp();
    holds.set(hold('gaming'));
    holds.set(hold('battery'));
    expect(holds.list()).toEqual([hold('gaming'), hold('battery')]);
    holds.clear('gaming');
    expect(holds.isHeld).toBe(true);
    expect(holds.list()).toEqual([hold('battery')]);
    holds.clear('battery');
    expect(holds.isHeld).toBe(false);
  });

  it('are one per kind: the newest cause and end count', () => {
    const { holds } = setUp();
    holds.set(hold('gaming', { cause: 'detected' }));
    holds.set(hold('gaming', { cause: 'for two hours', untilMs: 7_200_000 }));
    expect(holds.list()).toEqual([hold('gaming', { cause: 'for two hours', untilMs: 7_200_000 })]);
  });

  it('tell of every change and of nothing else', () => {
    const { holds, changes } = setUp();
    holds.clear('gaming');
    expect(changes()).toBe(0);
    holds.set(hold('gaming'));
    holds.set(hold('gaming', { cause: 'again' }));
    holds.clear('gaming');
    holds.clear('gaming');
    expect(changes()).toBe(3);
  });

  it('are handed out as a copy, so that nobody else writes them', () => {
    const { holds } = setUp();
    holds.set(hold('gaming'));
    holds.list().pop();
    expect(holds.isHeld).toBe(true);
    expect(holds.list()).toHaveLength(1);
  });
});
