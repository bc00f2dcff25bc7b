import { setTimeout as sleep } from 'node:timers/promises';

export type Poll = { close(): Promise<void> };

/**
 * Calls `sample` again and again, `everyMs` after the last one ended, so that a slow machine is asked less often and never twice
 * at once. Each sample has a deadline through its signal; what it throws goes to `onTrouble` and ends nothing.
 */
export function startPoll(options: {
  sample: (signal: AbortSignal) => Promise<void>;
  onTrouble: (reason: string | null) => void;
  everyMs: number;
  deadlineMs: number;
}): Poll {
  const closing = new AbortController();
  const loop = (async () => {
    while (!closing.signal.aborted) {
      const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(options.deadlineMs)]);
      const reason = await options.sample(signal).then(
        () => null,
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      );
      if (!closing.signal.aborted) options.onTrouble(reason);
      await sleep(options.everyMs, undefined, { signal: closing.signal, ref: false }).catch(() => {});
    }
  })();
  return {
    close: async () => {
      closing.abort();
      await loop;
    },
  };
}
