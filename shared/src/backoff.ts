/**
 * Full jitter: a random wait between 0 and an exponentially growing cap, so that a fleet that lost its coordinator at one moment
 * does not come back at one moment. `attempt` counts from 0; `random` is in [0, 1). The default cap is short: a coordinator takes a
 * thousand handshakes a second (measured), and people wait.
 */
export const backoffMs = (attempt: number, random: number, { baseMs = 250, capMs = 5_000 } = {}): number =>
  Math.floor(random * Math.min(capMs, baseMs * 2 ** Math.min(attempt, 20)));
