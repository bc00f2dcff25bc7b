import type { NodeSnapshot } from '@lai/shared/node';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { model, snapshot } from '../scheduler/__fixtures__/fleet.ts';
import { clockTroubles, inOurTime, skewOf, withTimeLeft } from './node-time.ts';

const HOUR_MS = 3_600_000;

describe('how far the clock of a node is ahead', () => {
  it.each([
    ['nothing, when it says what we say', 0, 0, 0],
    ['nothing, when the message took a second', 0, -1_000, 0],
    ['two hours', 0, 2 * HOUR_MS, 2 * HOUR_MS],
    ['minus two hours', 0, -2 * HOUR_MS, -2 * HOUR_MS],
    ['as much as before, whatever the way took this time', 2 * HOUR_MS, 2 * HOUR_MS - 900, 2 * HOUR_MS],
    ['nothing any more, once it was set right', 2 * HOUR_MS, -300, 0],
  ])('is %s', (_, lastMs, aheadMs, skewMs) => {
    const nowMs = 100 * HOUR_MS;
    expect(skewOf(lastMs, { takenAtMs: nowMs + aheadMs, nowMs })).toBe(skewMs);
  });
});

describe('a clock that is off', () => {
  it.each([
    [50_000, null],
    [-50_000, null],
    [2 * HOUR_MS, 'Its clock is 2 h ahead of the coordinator'],
    [-90_000, 'Its clock is 1 min behind the coordinator'],
  ])('by %i ms is told from a minute on', (skewMs, told) => {
    const troubles = clockTroubles(skewMs);
    if (told === null) expect(troubles).toEqual([]);
    else expect(troubles[0]).toContain(told);
  });
});

/** Every number under a key that ends in AtMs, sinceMs or untilMs, with its path. */
const momentsIn = (value: unknown, path = ''): [string, number][] => {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]): [string, number][] =>
    typeof inner === 'number' && /(?:AtMs|^atMs|^sinceMs|^untilMs)$/.test(key)
      ? [[`${path}.${key}`, inner]]
      : momentsIn(inner, `${path}.${key}`),
  );
};

const atMs = 50 * HOUR_MS;
const full = (): NodeSnapshot =>
  snapshot({
    takenAtMs: atMs,
    models: [model('m', { expiresAtMs: atMs, failure: { code: 'load_failed', message: 'no', atMs } })],
    holds: [{ kind: 'gaming', cause: 'doom', sinceMs: atMs, untilMs: atMs }],
    gaming: { mode: 'on', setBy: 'operator', untilMs: atMs, isActive: true, cause: 'operator', allowsForced: true },
    preemption: { step: 'freed', sinceMs: atMs, steps: [{ step: 'freed', atMs, detail: null }] },
  });

describe('a snapshot in our time', () => {
  it('has every moment moved, and nothing else changed', () => {
    fc.assert(
      fc.property(fc.integer({ min: -20 * HOUR_MS, max: 20 * HOUR_MS }), (skewMs) => {
        const moved = inOurTime(full(), skewMs);
        expect(momentsIn(moved)).toEqual(momentsIn(full()).map(([path, ms]) => [path, ms - skewMs]));
        expect(momentsIn(full()).length).toBeGreaterThan(7);
        expect(inOurTime(moved, -skewMs)).toEqual(full());
      }),
    );
  });

  it('keeps what has no end', () => {
    const endless = snapshot({ holds: [{ kind: 'gaming', cause: 'doom', sinceMs: atMs, untilMs: null }] });
    expect(inOurTime(endless, HOUR_MS).holds[0]?.untilMs).toBeNull();
  });
});

describe('a wish on its way to a node', () => {
  const desired = { generation: 1, isDraining: false, pinnedModels: [] };

  it.each([
    ['an hour', atMs + HOUR_MS, HOUR_MS],
    ['nothing, when it is over', atMs - 1, 0],
    ['no end', null, null],
  ])('says what is left of it: %s', (_, untilMs, leftMs) => {
    expect(withTimeLeft({ ...desired, gaming: { mode: 'on', untilMs } }, atMs).gaming).toEqual({ mode: 'on', untilMs, leftMs });
  });

  it('is none where there is none', () => {
    expect(withTimeLeft(desired, atMs)).toBe(desired);
  });
});
