import { describe, expect, test } from 'vitest';
import { BREAKS, type Break } from './breaks.ts';
import { readKept } from './kept.ts';
import { drawPlan } from './plan/draw.ts';
import type { Plan } from './plan/plan.ts';
import { runPlan } from './run.ts';
import { runSeeds } from './seeds.ts';
import { shrink } from './shrink.ts';

/** About 40 s on two free cores; this is for machines that have a lot else to do. */
const RUNS_LIMIT_MS = 280_000;
const RUNS = 5_000;

test(`${RUNS} runs violate nothing`, { timeout: RUNS_LIMIT_MS }, async () => {
  const tally = await runSeeds({ from: 1, count: RUNS, threads: 2, profile: null, break: null });
  expect(tally.findings).toEqual([]);
  expect(tally.runs).toBe(RUNS);
});

describe('a seed', () => {
  test('is the whole run, to the last event', async () => {
    const [first, second, other] = [await runPlan(drawPlan(7)), await runPlan(drawPlan(7)), await runPlan(drawPlan(8))];
    expect(second).toEqual(first);
    expect(other.hash).not.toBe(first.hash);
  });
});

describe('runs that once showed a bug', () => {
  for (const { name, kept } of readKept()) {
    test(name, { timeout: 60_000 }, async () => {
      expect((await runPlan(kept.plan)).violations).toEqual([]);
    });
  }
});

/** What each bug that was put there on purpose is caught by; the runs of these profiles are about it. */
const CAUGHT_BY: Record<Break, { readonly profile: Parameters<typeof drawPlan>[1]; readonly violated: string }> = {
  release: { profile: 'calm', violated: 'nothing is left over' },
  epoch: { profile: 'everything', violated: 'no attempt starts on another connection than its lease is for' },
  commit: { profile: 'calm', violated: 'nobody sees pieces of two answers' },
  quarantine: { profile: 'poison', violated: 'one request kills two engines at most' },
  suspicion: { profile: 'replicas', violated: 'only who was on two engines is blocked' },
  load: { profile: 'cold', violated: 'one cold load of a model at a time' },
  fairness: { profile: 'flood', violated: 'a light key does not wait behind a flooding one' },
};
const MOST_RUNS = 400;

describe('a bug under the core is found', () => {
  for (const [name, what] of Object.entries(BREAKS) as [Break, string][]) {
    test(what, { timeout: 120_000 }, async () => {
      const { profile, violated } = CAUGHT_BY[name];
      let violations: readonly string[] = [];
      for (let seed = 1; seed <= MOST_RUNS && !violations.some((words) => words.startsWith(violated)); seed += 1)
        violations = (await runPlan(drawPlan(seed, profile), { break: name })).violations;
      expect(violations).toContainEqual(expect.stringMatching(violated));
    });
  }
});

test('a failing run is made smaller until nothing of it can go', async () => {
  const plan = drawPlan(3);
  const [needed] = plan.steps.slice(10);
  const fails = async ({ steps, replicas }: Plan) => needed !== undefined && steps.includes(needed) && replicas >= 1;
  const small = await shrink(plan, fails);
  expect(small.steps).toEqual([needed]);
  expect(small.nodes).toHaveLength(1);
});
