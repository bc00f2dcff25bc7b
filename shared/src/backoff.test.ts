import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backoffMs } from './backoff.ts';

const ALMOST_ONE = 1 - Number.EPSILON;

describe('the wait before the next try', () => {
  it.each([
    [0, 0, 0],
    [0, 0.5, 125],
    [0, ALMOST_ONE, 249],
    [1, 0.5, 250],
    [2, 0.5, 500],
    [6, 0.5, 2_500],
    [7, 0.5, 2_500],
    [50, 0.5, 2_500],
    [1e9, ALMOST_ONE, 4_999],
  ])('after %i failures with chance %d is %i ms', (attempt, random, waitMs) => {
    expect(backoffMs(attempt, random)).toBe(waitMs);
  });

  it('can have another base and another cap', () => {
    expect(backoffMs(0, 0.5, { baseMs: 500 })).toBe(250);
    expect(backoffMs(9, 0.5, { capMs: 1_000 })).toBe(500);
  });

  it('never goes beyond its cap, and its cap grows with every failure', () => {
    fc.assert(
      fc.property(fc.nat(10_000), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (attempt, random) => {
        const waitMs = backoffMs(attempt, random);
        expect(Number.isInteger(waitMs)).toBe(true);
        expect(waitMs).toBeGreaterThanOrEqual(0);
        expect(waitMs).toBeLessThan(5_000);
        expect(backoffMs(attempt + 1, random)).toBeGreaterThanOrEqual(waitMs);
      }),
    );
  });

  it('spreads a fleet over the whole time instead of sending it back at one moment', () => {
    const waits = [0, 0.25, 0.5, 0.75].map((random) => backoffMs(5, random));
    expect(waits).toEqual([0, 1_250, 2_500, 3_750]);
  });
});
