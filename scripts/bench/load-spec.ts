import type { ProcessFigures } from './process-figures.ts';
import type { Summary } from './statistics.ts';

export interface Endpoint {
  /** Of the chat route. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * How requests come.
 * - `closed`: so many in flight, each followed by the next, for so long.
 * - `open`: they arrive at this rate whatever happens to them, and a late one counts from when it should have started.
 * - `held`: so many long streams at once; measured from the first token of the last one on, for so long.
 */
export type Pattern =
  | { readonly kind: 'closed'; readonly inFlight: number; readonly durationMs: number }
  | { readonly kind: 'open'; readonly perSecond: number; readonly durationMs: number; readonly seed: number }
  | { readonly kind: 'held'; readonly streams: number; readonly windowMs: number };

export interface LoadSpec {
  readonly endpoint: Endpoint;
  readonly pattern: Pattern;
  readonly isStream: boolean;
  readonly tokens: number;
  readonly tps: number;
  readonly firstTokenMs: number;
  /** Processes whose CPU and memory are read at both ends of the measured time. */
  readonly pids: Readonly<Record<string, number>>;
}

export interface LoadResult {
  readonly completed: number;
  readonly measuredMs: number;
  /** Tokens that arrived in the measured time. */
  readonly tokens: number;
  readonly headersMs: Summary;
  readonly firstContentMs: Summary;
  readonly totalMs: Summary;
  /** Between one piece of content of a stream and the next, as the reader sees it. */
  readonly gapMs: Summary;
  /** Everything that did not end as it should: by sentence, how often. */
  readonly errors: Readonly<Record<string, number>>;
  /** CPU used in the measured time, memory at its end. */
  readonly processes: Readonly<Record<string, ProcessFigures>>;
  /** Share of a core that the load side itself used. */
  readonly ownCpuShare: number;
}

export type LoadOrder = { readonly kind: 'run'; readonly id: number; readonly spec: LoadSpec };
export type LoadReport =
  | { readonly kind: 'done'; readonly id: number; readonly result: LoadResult }
  | { readonly kind: 'broken'; readonly id: number; readonly reason: string };

export const errorCount = (result: LoadResult): number => Object.values(result.errors).reduce((sum, count) => sum + count, 0);
