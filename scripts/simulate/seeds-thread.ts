/** Runs the seeds it is given, one portion after the other; see seeds.ts. */
import { parentPort } from 'node:worker_threads';
import { drawPlan } from './plan/draw.ts';
import { runPlan } from './run.ts';
import type { Finding, Portion, Tally } from './seeds.ts';

parentPort?.on('message', async ({ from, count, profile, break: broken }: Portion) => {
  const findings: Finding[] = [];
  let calls = 0;
  for (let seed = from; seed < from + count; seed += 1) {
    const run = await runPlan(drawPlan(seed, profile), { break: broken });
    calls += run.calls;
    if (run.violations.length > 0) findings.push({ seed, profile: run.profile, violations: run.violations });
  }
  const tally: Tally = { runs: count, calls, findings };
  parentPort?.postMessage(tally);
});
