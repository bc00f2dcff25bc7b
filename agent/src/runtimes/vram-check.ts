import { setTimeout as pause } from 'node:timers/promises';

/** GPU memory in use as the sensors see it, over all GPUs; null when this machine cannot tell. */
export type ReadVramUsedBytes = () => number | null;

const POLL_MS = 100;
/** Sensors look every 2 s, and readings lag behind the driver by up to 1.5 s. */
const CONVINCE_LIMIT_MS = 8_000;

/**
 * Waits until the GPU's own reading has moved by `bytes` from where it was (down when negative): engines say 200 and keep the memory.
 * `unknown`: the machine cannot tell, so nobody can be convicted. `unmoved`: it did not happen in time.
 */
export const sawVramMove = async (move: {
  read: ReadVramUsedBytes;
  fromBytes: number | null;
  bytes: number;
  signal: AbortSignal;
  limitMs?: number;
}): Promise<'moved' | 'unmoved' | 'unknown'> => {
  const { read, fromBytes, bytes, signal } = move;
  if (fromBytes === null) return 'unknown';
  const deadlineMs = performance.now() + (move.limitMs ?? CONVINCE_LIMIT_MS);
  for (;;) {
    const now = read();
    if (now === null) return 'unknown';
    const moved = now - fromBytes;
    if (bytes < 0 ? moved <= bytes : moved >= bytes) return 'moved';
    if (performance.now() > deadlineMs) return 'unmoved';
    await pause(POLL_MS, undefined, { signal });
  }
};
