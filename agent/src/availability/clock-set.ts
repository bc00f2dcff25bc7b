import os from 'node:os';

/** What the machine's clock says, and how long the machine has been up, sleep included, which nobody can set. */
export interface Clocks {
  readonly wallMs: number;
  readonly upMs: number;
}

export const readClocks = (): Clocks => ({ wallMs: Date.now(), upMs: os.uptime() * 1_000 });

/** Uptime counts whole seconds on some systems, and clocks are slewed all the time. */
const NOISE_MS = 2_000;

/** By how much the clock was set between two looks; 0 when it was not. Sleep is no such thing: both go on meanwhile. Pure. */
export const clockSetBy = (before: Clocks, now: Clocks): number => {
  const byMs = now.wallMs - before.wallMs - (now.upMs - before.upMs);
  return Math.abs(byMs) < NOISE_MS ? 0 : Math.round(byMs);
};
