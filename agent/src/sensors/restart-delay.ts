/**
 * Full jitter: a uniform draw between zero and the doubled base, so that a fleet whose drivers failed together does not retry
 * together (Brooker, "Exponential Backoff and Jitter"). `failures` counts from 1.
 */
export function restartDelayMs(input: { failures: number; baseMs: number; capMs: number; random: () => number }): number {
  const doubled = input.baseMs * 2 ** Math.min(Math.max(input.failures - 1, 0), 30);
  return Math.floor(input.random() * Math.min(input.capMs, doubled));
}
