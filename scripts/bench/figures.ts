/** What the report shows of a round. Each is a number with its unit in its name. */
import type { LoadResult } from './load-spec.ts';
import { median } from './statistics.ts';

export const requestsPerS = ({ completed, measuredMs }: LoadResult): number => (completed * 1_000) / measuredMs;

/** CPU seconds of all processes of a target, or of the ones named. */
export const cpuS = ({ processes }: LoadResult, names?: readonly string[]): number =>
  Object.entries(processes).reduce((sum, [name, used]) => sum + (names && !names.includes(name) ? 0 : used.cpuS), 0);

export const cpuSPerMillionTokens = (result: LoadResult, names?: readonly string[]): number =>
  (cpuS(result, names) / result.tokens) * 1_000_000;

/** What other programs on the machine do hardly changes it, unlike answers per second. */
export const cpuMsPerAnswer = (result: LoadResult, names?: readonly string[]): number =>
  (cpuS(result, names) * 1_000) / result.completed;

export const cpuShare = (result: LoadResult, names?: readonly string[]): number =>
  (cpuS(result, names) * 1_000) / result.measuredMs;

export const over = (rounds: readonly LoadResult[], read: (result: LoadResult) => number): number => median(rounds.map(read));

/** Median memory of each process. */
export const rssMb = (rounds: readonly LoadResult[], name: string): number =>
  median(rounds.flatMap(({ processes }) => processes[name]?.rssMb ?? []));
