/** `wallMs` is any clock that goes on during sleep. */
export type Instant = { wallMs: number; monotonicMs: number };

export type SleepGap = { kind: 'awake' } | { kind: 'slept'; forMs: number };

/** Longer than any pause of a busy machine, shorter than any sleep that matters to a socket. */
export const SLEEP_GAP_MS = 5_000;

/**
 * Did the machine sleep between two looks that should be `everyMs` apart? Both clocks are needed: on Linux the monotonic clock
 * stands still during sleep, so the wall clock runs ahead of it; on Windows and macOS it may run on, so the look itself comes late.
 * A clock that can be set would look like sleep when it is set forward, so uptime is read.
 */
export function sleepGap(before: Instant, now: Instant, everyMs: number): SleepGap {
  const wallMs = now.wallMs - before.wallMs;
  const monotonicMs = now.monotonicMs - before.monotonicMs;
  const forMs = Math.max(wallMs - monotonicMs, monotonicMs - everyMs);
  return forMs > SLEEP_GAP_MS ? { kind: 'slept', forMs } : { kind: 'awake' };
}
