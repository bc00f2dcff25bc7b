import { afterEach, describe, expect, it, vi } from 'vitest';
import { powerOf, readPower, watchSleep } from './power.ts';

describe('power', () => {
  it.each([
    ['no answer', null, { isOnBattery: null, chargeFraction: null }],
    ['no battery', { hasBattery: false, acConnected: true, percent: 0 }, { isOnBattery: false, chargeFraction: null }],
    ['on battery', { hasBattery: true, acConnected: false, percent: 62 }, { isOnBattery: true, chargeFraction: 0.62 }],
    ['charging', { hasBattery: true, acConnected: true, percent: 100 }, { isOnBattery: false, chargeFraction: 1 }],
    ['an impossible charge', { hasBattery: true, acConnected: true, percent: 255 }, { isOnBattery: false, chargeFraction: null }],
  ])('with %s', (_, battery, power) => {
    expect(powerOf(battery)).toEqual(power);
  });

  it('can be read on this machine, whatever it is', async () => {
    expect([true, false, null]).toContain((await readPower()).isOnBattery);
  });
});

describe('watching for sleep', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('tells once, with the length, and no more after the end of the watch', () => {
    vi.useFakeTimers();
    const clock = { wallMs: 0, monotonicMs: 0 };
    const pass = (wallMs: number, monotonicMs: number): void => {
      clock.wallMs += wallMs;
      clock.monotonicMs += monotonicMs;
      vi.advanceTimersByTime(1_000);
    };
    const sleeps: number[] = [];
    const end = watchSleep((sleptMs) => sleeps.push(sleptMs), { everyMs: 1_000, read: () => ({ ...clock }) });
    pass(1_000, 1_000);
    pass(3_600_000, 1_000);
    pass(1_000, 1_000);
    expect(sleeps).toEqual([3_599_000]);
    end();
    pass(3_600_000, 1_000);
    expect(sleeps).toHaveLength(1);
  });
});
