/** `npm run simulate`: the dispatch core on virtual time, many runs, each from a seed. See README.md. */
import { readFileSync } from 'node:fs';
import { readOrExplain } from '../command-line.ts';
import { BREAKS } from './breaks.ts';
import { type Kept, writeKept } from './kept.ts';
import { type Options, readOptions, USAGE } from './options.ts';
import { drawPlan } from './plan/draw.ts';
import type { Plan } from './plan/plan.ts';
import { runPlan } from './run.ts';
import { type Finding, runSeeds, type Tally } from './seeds.ts';
import { shrink } from './shrink.ts';

const SAY_EVERY_MS = 10_000;
/** More of the same help nobody. */
const MOST_FINDINGS = 20;

const say = (words: string): void => void process.stderr.write(`simulate: ${words}\n`);

const main = async (options: Options): Promise<boolean> => {
  if (options.planFile !== null) {
    const { plan } = JSON.parse(readFileSync(options.planFile, 'utf8')) as Kept;
    return show(plan, options);
  }
  if (options.isTraced) return show(drawPlan(options.seed, options.profile), options);
  const startedAtMs = performance.now();
  const tally = await runSeeds({ ...options, from: options.seed, count: options.runs, onPortion: sayHowFar(options) });
  const seconds = (performance.now() - startedAtMs) / 1_000;
  console.log(pageOf(tally, options, seconds));
  const [first] = tally.findings;
  if (first && options.keepAs !== null) await keep(options.keepAs, first, options);
  return tally.findings.length === 0;
};

const sayHowFar = ({ runs }: Options) => {
  let saidAtMs = performance.now();
  let said = 0;
  return (tally: Tally): boolean => {
    for (const finding of tally.findings.slice(said)) say(linesOf(finding).join('\n'));
    said = tally.findings.length;
    const nowMs = performance.now();
    if (nowMs - saidAtMs > SAY_EVERY_MS) {
      saidAtMs = nowMs;
      say(`${tally.runs} of ${runs} runs, ${tally.findings.length} with violations`);
    }
    return tally.findings.length < MOST_FINDINGS;
  };
};

const pageOf = ({ runs, calls, findings }: Tally, options: Options, seconds: number): string => {
  const { seed, threads, profile, break: broken } = options;
  const count = (number: number) => number.toLocaleString('en');
  return [
    `${count(runs)} runs, seeds ${seed} to ${seed + options.runs - 1}${profile ? `, all ${profile}` : ''}`,
    ...(broken ? [`broken on purpose: ${BREAKS[broken]}`] : []),
    `${count(calls)} events, ${seconds.toFixed(1)} s on ${threads} ${threads === 1 ? 'thread' : 'threads'}`,
    `${count(findings.length)} with violations`,
    ...findings.flatMap((finding) => ['', ...linesOf(finding)]),
  ].join('\n');
};

const linesOf = ({ seed, profile, violations }: Finding): string[] => [
  `seed ${seed} (${profile}): npm run simulate -- --seed ${seed} --trace`,
  ...violations.slice(0, 5).map((what) => `  ${what}`),
];

/** One run, everything that happens in it. */
const show = async (plan: Plan, options: Options): Promise<boolean> => {
  const { lines, violations, hash } = await runPlan(plan, { break: options.break, keepsLines: true });
  console.log([...(lines ?? []), '', `hash ${hash}`, ...violations.map((what) => `violated: ${what}`)].join('\n'));
  return violations.length === 0;
};

const keep = async (name: string, { seed, violations: [violation = ''] }: Finding, options: Options): Promise<void> => {
  const [violated = ''] = violation.split(':');
  say(`making seed ${seed} smaller, as long as it still violates "${violated}"`);
  const plan = await shrink(drawPlan(seed, options.profile), async (smaller) => {
    const { violations } = await runPlan(smaller, { break: options.break });
    return violations.some((what) => what.startsWith(violated));
  });
  say(`${plan.steps.length} steps are left: ${writeKept(name, { about: 'say here what was wrong', violated, plan })}`);
};

process.exitCode = (await main(readOrExplain(USAGE, readOptions))) ? 0 : 1;
