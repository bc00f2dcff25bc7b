import type { Gpu } from '@lai/shared/node';

/** The GPU just before our models were unloaded, and what they held by their runtimes' word (their size where those do not tell). */
export interface MemoryBefore {
  readonly usedBytes: number | null;
  readonly oursBytes: number;
}

/** What an engine without a model may still hold: a CUDA context and its libraries. */
const CONTEXT_BYTES = 600 * 1024 * 1024;
/** Runtimes round, and a game takes memory while we give it back. */
const SHARE = 0.8;

/**
 * Is what we held given back? Pure. Per process where the machine tells, because a game fills what we free; else by the totals. `unknown`
 * where nothing can be read.
 */
export const memoryVerdict = (
  before: MemoryBefore,
  gpus: readonly Gpu[],
  ours: { readonly pids: ReadonlySet<number>; readonly processes: readonly { pid: number; usedBytes: number | null }[] | null },
): 'free' | 'held' | 'unknown' => {
  const mine = ours.processes?.filter((entry) => ours.pids.has(entry.pid)) ?? null;
  if (mine && ours.pids.size > 0 && mine.every((entry) => entry.usedBytes !== null)) {
    return mine.reduce((sum, entry) => sum + (entry.usedBytes ?? 0), 0) <= CONTEXT_BYTES ? 'free' : 'held';
  }
  const usedBytes = totalUsedBytes(gpus);
  if (usedBytes === null) return 'unknown';
  if (before.oursBytes === 0 || before.usedBytes === null) return 'free';
  return usedBytes <= before.usedBytes - before.oursBytes * SHARE ? 'free' : 'held';
};

/** Over all cards that are not lost; null when one of them does not tell. */
export const totalUsedBytes = (gpus: readonly Gpu[]): number | null => {
  const cards = gpus.filter((gpu) => !gpu.isLost);
  if (cards.length === 0) return null;
  return cards.reduce<number | null>(
    (sum, gpu) => (sum === null || gpu.vramUsedBytes === null ? null : sum + gpu.vramUsedBytes),
    0,
  );
};
