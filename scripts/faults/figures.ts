import { type Summary, summarise } from '../bench/statistics.ts';

/** One measured figure of a fault, with what it has to hold. */
export interface Figure {
  readonly name: string;
  readonly summary: Summary;
  /** At most this, in milliseconds, of the quantile that is judged; null when it is only told. */
  readonly limit: { readonly of: 'p99' | 'max'; readonly ms: number } | null;
}

export const figure = (name: string, values: readonly number[], limit: Figure['limit'] = null): Figure => ({
  name,
  summary: summarise(values),
  limit,
});

/** What never happened is not late; whether it should have happened is the fault's own business. */
export const isMissed = ({ summary, limit }: Figure): boolean =>
  limit !== null && summary.count > 0 && !(summary[limit.of] <= limit.ms);

/** What became of one fault. */
export interface FaultResult {
  readonly id: string;
  readonly title: string;
  /** How many faults were injected, and of what. */
  readonly count: number;
  readonly unit: string;
  readonly figures: readonly Figure[];
  /** Requests (or jobs) that never ended, or ended in an error they should have been spared. */
  readonly lost: number;
  readonly doubled: number;
  /** Sentences; a fault with any of them has failed. */
  readonly misses: readonly string[];
  readonly notes: readonly string[];
  readonly seconds: number;
  readonly historyFile: string | null;
}
