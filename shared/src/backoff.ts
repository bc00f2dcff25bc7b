/**
 * Full jitter: a random wait between 0 and an exponentially growing cap, so that a fleet that lost its coordinator at one moment
 * does not come back at one moment. `attempt` counts from 0; `random` is in [0, 1).
 */
export const backoffMs = (attempt: number, random: number, { baseMs = 250, capMs = 30_000 } = {}): number =>
  Math.floor(random * Math.min(capMs, baseMs * 2 ** Math.min(attempt, 20)));
