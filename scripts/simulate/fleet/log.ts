import type { MatchingOptions } from '../../../coordinator/src/dispatch/matching.ts';

type Log = MatchingOptions['log'];

/** What the product would log, without its fields: they are for people, and the trace has its own. */
export const log = (say: (text: string) => void): Log => {
  const write = (first: unknown, text?: string) => say(text ?? String(first));
  return { trace: write, debug: write, info: write, warn: write, error: write, fatal: write } as unknown as Log;
};
