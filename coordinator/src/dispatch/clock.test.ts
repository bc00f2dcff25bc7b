import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Clock, fromWallMs, systemClock, toWallMs } from './clock.ts';

const HOUR_MS = 3_600_000;

describe('the clock of this process', () => {
  afterEach(() => void vi.useRealTimers());

  it.each([HOUR_MS, -HOUR_MS, 24 * 365 * HOUR_MS])('goes on as before when the machine is set by %i ms', (byMs) => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const before = { nowMs: systemClock.nowMs(), wallMs: systemClock.wallMs() };
    vi.setSystemTime(before.wallMs + byMs);
    expect(systemClock.nowMs() - before.nowMs).toBeLessThan(60_000);
    expect(systemClock.nowMs()).toBeGreaterThanOrEqual(before.nowMs);
    expect(systemClock.wallMs() - before.wallMs).toBe(byMs);
  });

  it('keeps a deadline as far away as it was, whatever the machine is set to between', () => {
    let wallMs = 1_000_000;
    const clock: Clock = { nowMs: () => 500, wallMs: () => wallMs, after: () => () => {} };
    expect(toWallMs(clock, 800) - clock.wallMs()).toBe(300);
    wallMs += HOUR_MS;
    expect(toWallMs(clock, 800) - clock.wallMs()).toBe(300);
    expect(fromWallMs(clock, toWallMs(clock, 800))).toBe(800);
  });
});
