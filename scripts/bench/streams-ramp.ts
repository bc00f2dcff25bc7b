import type { Load } from './load-process.ts';
import type { LoadResult } from './load-spec.ts';
import { errorCount } from './load-spec.ts';
import { runOn } from './pairs.ts';
import { held, type ramp } from './scenarios.ts';
import type { Target } from './target.ts';

export interface Step {
  readonly streams: number;
  readonly baseline: LoadResult;
  readonly subject: LoadResult;
}

/** How many streams a target carries before the p99 of the gaps between tokens reaches the limit. */
export interface Ramp {
  readonly steps: readonly Step[];
  readonly gapLimitMs: number;
  readonly carried: number;
  /** Null: the next step was too much for the target. Else why the ramp ended although the target was well. */
  readonly endedBecause: string | null;
}

export const isFine = (result: LoadResult, gapLimitMs: number): boolean =>
  errorCount(result) === 0 && result.gapMs.p99 < gapLimitMs;

/** Each step on the engine alone first: where that fails the harness is at its end, not the target. A failed step gets a second chance. */
export const runRamp = async (
  load: Load,
  baseline: Target,
  subject: Target,
  { steps, tps, windowMs, gapLimitMs }: ReturnType<typeof ramp>,
): Promise<Ramp> => {
  const done: Step[] = [];
  let carried = 0;
  for (const streams of steps) {
    const spec = held(streams, tps, windowMs);
    const best = async (target: Target): Promise<LoadResult> => {
      const first = await runOn(load, target, spec, 1);
      return isFine(first, gapLimitMs) ? first : runOn(load, target, spec, 2);
    };
    const step = { streams, baseline: await best(baseline), subject: await best(subject) };
    done.push(step);
    if (isFine(step.subject, gapLimitMs)) carried = streams;
    else if (isFine(step.baseline, gapLimitMs)) return { steps: done, gapLimitMs, carried, endedBecause: null };
    else return { steps: done, gapLimitMs, carried, endedBecause: `the harness itself does not carry ${streams} here` };
  }
  return { steps: done, gapLimitMs, carried, endedBecause: 'last step of the ramp' };
};
