import { describe, expect, it } from 'vitest';
import { sleepGap } from './sleep-gap.ts';

const minute = 60_000;

describe('sleep, seen by two clocks', () => {
  it.each<[string, { wallMs: number; monotonicMs: number }, number | null]>([
    ['both clocks a second on', { wallMs: 1_000, monotonicMs: 1_000 }, null],
    ['a busy machine four seconds late', { wallMs: 5_000, monotonicMs: 5_000 }, null],
    ['Linux: the monotonic clock stood still', { wallMs: 10 * minute, monotonicMs: 1_000 }, 10 * minute - 1_000],
    ['Windows, macOS: both clocks ran on', { wallMs: 10 * minute, monotonicMs: 10 * minute }, 10 * minute - 1_000],
    ['a gap of exactly five seconds', { wallMs: 6_000, monotonicMs: 1_000 }, null],
    ['just more than that', { wallMs: 6_001, monotonicMs: 1_000 }, 5_001],
    ['the clock set back an hour', { wallMs: -60 * minute, monotonicMs: 1_000 }, null],
  ])('%s', (_, passed, sleptMs) => {
    const start = { wallMs: 1_700_000_000_000, monotonicMs: 42 };
    const now = { wallMs: start.wallMs + passed.wallMs, monotonicMs: start.monotonicMs + passed.monotonicMs };
    expect(sleepGap(start, now, 1_000)).toEqual(sleptMs === null ? { kind: 'awake' } : { kind: 'slept', forMs: sleptMs });
  });
});
