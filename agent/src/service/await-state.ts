import { setTimeout as pause } from 'node:timers/promises';

export interface Patience {
  readonly limitMs: number;
  readonly everyMs: number;
}

/** Looks until it is so. False: it was not within the limit. */
export const awaitState = async (isSo: () => Promise<boolean>, { limitMs, everyMs }: Patience): Promise<boolean> => {
  const deadline = performance.now() + limitMs;
  while (!(await isSo())) {
    if (performance.now() >= deadline) return false;
    await pause(everyMs);
  }
  return true;
};
