import type { Load } from './load-process.ts';
import { errorCount, type LoadResult } from './load-spec.ts';
import type { Scenario } from './scenarios.ts';
import { type Paired, pair } from './statistics.ts';
import type { Target } from './target.ts';

/** Rounds of one scenario on two targets, taken in turns: A B A B … */
export interface PairedRounds {
  readonly scenario: Scenario['name'];
  readonly title: string;
  readonly baseline: { readonly name: string; readonly rounds: readonly LoadResult[] };
  readonly subject: { readonly name: string; readonly rounds: readonly LoadResult[] };
}

/** Until then the code under load has been compiled; the first hundreds of requests cost a Node program several times the CPU. */
const WARM_UP_MS = 1_500;

export const runOn = (load: Load, { url, headers, pids }: Target, spec: Scenario['load'], round: number): Promise<LoadResult> =>
  load.run({ ...spec, endpoint: { url, headers }, pids, pattern: reseeded(spec.pattern, round) });

/** First a round on the subject that counts for nothing (the engine is warm from before), then the ones that do. Who goes first changes with the round. */
export const runPairs = async (load: Load, baseline: Target, subject: Target, scenario: Scenario): Promise<PairedRounds> => {
  const isAlone = scenario.isAlone === true;
  await runOn(load, subject, warmUp(scenario.load), 0);
  const results = { baseline: [] as LoadResult[], subject: [] as LoadResult[] };
  for (let round = 1; round <= scenario.rounds; round += 1) {
    for (const side of isAlone
      ? (['subject'] as const)
      : round % 2 === 1
        ? (['baseline', 'subject'] as const)
        : (['subject', 'baseline'] as const))
      results[side].push(await runOn(load, side === 'baseline' ? baseline : subject, scenario.load, round));
  }
  return {
    scenario: scenario.name,
    title: scenario.title,
    baseline: { name: baseline.name, rounds: results.baseline },
    subject: { name: subject.name, rounds: results.subject },
  };
};

/** Both sides of a round get the same arrivals, and each round others. */
const reseeded = (pattern: Scenario['load']['pattern'], round: number): Scenario['load']['pattern'] =>
  pattern.kind === 'open' ? { ...pattern, seed: round } : pattern;

const warmUp = (spec: Scenario['load']): Scenario['load'] => {
  const { pattern } = spec;
  return pattern.kind === 'held' ? spec : { ...spec, pattern: { ...pattern, durationMs: WARM_UP_MS } };
};

/** One figure of every round, as pairs. */
export const figure = ({ baseline, subject }: PairedRounds, read: (result: LoadResult) => number): Paired =>
  pair(baseline.rounds.map(read), subject.rounds.map(read));

/** Null when everything ended as it should; else a sentence. A run with errors is no measurement, whatever its numbers look like. */
export const trouble = (results: readonly LoadResult[]): string | null => {
  const count = results.reduce((sum, result) => sum + errorCount(result), 0);
  const answered = results.reduce((sum, result) => sum + result.completed, 0);
  if (count === 0) return answered === 0 && results.length > 0 ? 'no request was answered' : null;
  const kinds = new Map<string, number>();
  for (const { errors } of results)
    for (const [sentence, times] of Object.entries(errors)) kinds.set(sentence, (kinds.get(sentence) ?? 0) + times);
  const worst = [...kinds].sort((a, b) => b[1] - a[1]).slice(0, 3);
  return `${count} of ${count + answered} requests failed (${worst.map(([sentence, times]) => `${sentence}: ${times}`).join('; ')})`;
};
