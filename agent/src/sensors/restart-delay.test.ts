import { describe, expect, it } from 'vitest';
import { restartDelayMs } from './restart-delay.ts';

const at = (failures: number, draw: number): number =>
  restartDelayMs({ failures, baseMs: 1_000, capMs: 60_000, random: () => draw });

describe('the wait before a restart', () => {
  it.each([
    [1, 1_000],
    [2, 2_000],
    [6, 32_000],
    [7, 60_000],
    [10_000, 60_000],
  ])('is at most, after failure %i, %i ms', (failures, mostMs) => {
    expect(at(failures, 0.999999)).toBeGreaterThan(mostMs * 0.99);
    expect(at(failures, 0.999999)).toBeLessThan(mostMs);
  });

  it('may be nothing at all: that is what full jitter means', () => {
    expect(at(7, 0)).toBe(0);
  });
});
