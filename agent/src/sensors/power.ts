import os from 'node:os';
import { type Instant, sleepGap } from './sleep-gap.ts';
import { within } from './within.ts';

/** Null means "not known"; a machine without a battery runs on mains power. */
export type Power = { isOnBattery: boolean | null; chargeFraction: number | null };

const BATTERY_WITHIN_MS = 10_000;
const LOOK_EVERY_MS = 1_000;

/** For a cadence of a minute or so: on Windows this starts PowerShell. */
export async function readPower(): Promise<Power> {
  // Loaded when it is needed: it is large, and most machines never ask.
  const { default: systeminformation } = await import('systeminformation');
  return powerOf(await within(BATTERY_WITHIN_MS, systeminformation.battery()));
}

export function powerOf(battery: { hasBattery: boolean; acConnected: boolean; percent: number } | null): Power {
  if (battery === null) return { isOnBattery: null, chargeFraction: null };
  if (!battery.hasBattery) return { isOnBattery: false, chargeFraction: null };
  const { percent } = battery;
  return { isOnBattery: !battery.acConnected, chargeFraction: percent >= 0 && percent <= 100 ? percent / 100 : null };
}

/** Uptime goes on during sleep, as the clock on the wall does, and nobody can set it. */
const readClocks = (): Instant => ({ wallMs: os.uptime() * 1_000, monotonicMs: performance.now() });

/** Calls `onResume` soon after the machine wakes up, with how long it slept. Returns the function that ends the watch. */
export function watchSleep(
  onResume: (sleptMs: number) => void,
  clocks: { everyMs?: number; read?: () => Instant } = {},
): () => void {
  const { everyMs = LOOK_EVERY_MS, read = readClocks } = clocks;
  let last = read();
  const timer = setInterval(() => {
    const now = read();
    const gap = sleepGap(last, now, everyMs);
    last = now;
    if (gap.kind === 'slept') onResume(gap.forMs);
  }, everyMs).unref();
  return () => clearInterval(timer);
}
