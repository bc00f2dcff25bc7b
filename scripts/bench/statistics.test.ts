import { describe, expect, it } from 'vitest';
import { Histogram, median, pair, quantile, summarise } from './statistics.ts';

describe('quantiles', () => {
  const hundred = Array.from({ length: 100 }, (_, at) => 100 - at);

  it('are values that were measured, by nearest rank', () => {
    expect(summarise(hundred)).toEqual({ count: 100, p50: 50, p95: 95, p99: 99, max: 100 });
    expect(summarise([7])).toEqual({ count: 1, p50: 7, p95: 7, p99: 7, max: 7 });
  });

  it('of nothing are no number, so that no table can show a zero for it', () => {
    expect(quantile([], 0.5)).toBeNaN();
    expect(median([])).toBeNaN();
    expect(new Histogram().summary().p99).toBeNaN();
  });

  it('do not reorder what they are given', () => {
    const values = [3, 1, 2];
    summarise(values);
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });

  it('median: the middle, or between the two in the middle', () => {
    expect(median([5, 1, 3])).toBe(3);
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });
});

describe('Histogram', () => {
  it('agrees with exact quantiles to a quarter of a millisecond', () => {
    const values = Array.from({ length: 5_000 }, (_, at) => ((at * 7919) % 5_000) / 50);
    const histogram = new Histogram();
    for (const value of values) histogram.add(value);
    const exact = summarise(values);
    const close = histogram.summary();
    expect(close.count).toBe(5_000);
    for (const key of ['p50', 'p95', 'p99', 'max'] as const) {
      expect(close[key]).toBeGreaterThanOrEqual(exact[key] - 1e-9);
      expect(close[key] - exact[key]).toBeLessThanOrEqual(0.25);
    }
  });

  it('keeps what lies beyond its range as its largest value', () => {
    const histogram = new Histogram();
    histogram.add(1);
    histogram.add(9_000);
    expect(histogram.summary()).toMatchObject({ p99: 9_000, max: 9_000 });
  });
});

describe('pair', () => {
  it('cancels noise that hits both sides of a round', () => {
    // Each round is slowed by something else; the subject always costs 2 more.
    const noise = [0, 50, 10, 400, 3];
    const paired = pair(
      noise.map((ms) => 1 + ms),
      noise.map((ms) => 3 + ms),
    );
    expect(paired).toMatchObject({ difference: 2, differences: [2, 2], larger: 5, rounds: 5 });
  });

  it('takes ratios round by round', () => {
    expect(pair([1, 10, 100], [2, 20, 200]).ratio).toBe(2);
  });

  it('leaves out a round that only one side finished', () => {
    expect(pair([1, 1], [2]).rounds).toBe(1);
  });
});
