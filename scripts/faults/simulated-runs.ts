/** Runs of the deterministic simulation: `node simulated-runs.ts FROM COUNT` prints one line for each seed that violates something, and one at the end. */
import { drawPlan } from '../simulate/plan/draw.ts';
import { runPlan } from '../simulate/run.ts';

const [, , from = '1', count = '1'] = process.argv;
const startedMs = performance.now();
for (let seed = Number(from); seed < Number(from) + Number(count); seed += 1) {
  const { profile, violations } = await runPlan(drawPlan(seed));
  if (violations.length > 0) console.log(JSON.stringify({ seed, profile, violations }));
}
console.log(JSON.stringify({ runs: Number(count), tookMs: performance.now() - startedMs }));
