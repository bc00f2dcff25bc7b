import { Worker as Thread } from 'node:worker_threads';
import type { Break } from './breaks.ts';
import type { Profile } from './plan/moods.ts';

/** Enough that asking costs nothing, few enough that threads end together. */
const PORTION = 25;

export interface Portion {
  readonly from: number;
  readonly count: number;
  readonly profile: Profile | null;
  readonly break: Break | null;
}

export interface Finding {
  readonly seed: number;
  readonly profile: string;
  readonly violations: readonly string[];
}

export interface Tally {
  readonly runs: number;
  /** Calls of virtual time; how much happened. */
  readonly calls: number;
  readonly findings: readonly Finding[];
}

/** Runs of consecutive seeds, over threads. `onPortion` hears how far they are; false from it ends them early. */
export const runSeeds = async (
  options: Portion & { readonly threads: number; readonly onPortion?: (tally: Tally) => boolean },
): Promise<Tally> => {
  const { from, count, threads, profile, break: broken } = options;
  const end = from + count;
  let next = from;
  let tally: Tally = { runs: 0, calls: 0, findings: [] };
  const runOnThread = async () => {
    const thread = new Thread(new URL('./seeds-thread.ts', import.meta.url));
    try {
      while (next < end) {
        const portion = { from: next, count: Math.min(PORTION, end - next), profile, break: broken };
        next += portion.count;
        const { runs, calls, findings } = await ask(thread, portion);
        tally = { runs: tally.runs + runs, calls: tally.calls + calls, findings: [...tally.findings, ...findings] };
        if (options.onPortion?.(tally) === false) next = end;
      }
    } finally {
      await thread.terminate();
    }
  };
  await Promise.all(Array.from({ length: Math.min(threads, Math.ceil(count / PORTION)) }, runOnThread));
  return { ...tally, findings: tally.findings.toSorted((a, b) => a.seed - b.seed) };
};

const ask = (thread: Thread, portion: Portion): Promise<Tally> =>
  new Promise((resolve, reject) => {
    thread.removeAllListeners();
    thread.once('message', resolve);
    thread.once('error', reject);
    thread.once('exit', (code) => reject(new Error(`a thread of the simulation ended with ${code}`)));
    thread.postMessage(portion);
  });
