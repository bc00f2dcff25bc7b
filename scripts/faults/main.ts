/** `npm run faults`: breaks a real fleet in every way we know and says what came of it, on one page. See README.md. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { noteConditions } from '../bench/conditions.ts';
import { readOrExplain } from '../command-line.ts';
import { checkHistory } from './checker.ts';
import type { Fault, Outcome } from './fault.ts';
import { type FaultResult, isMissed } from './figures.ts';
import { History } from './history.ts';
import { foundHousehold, type Household, moveOut } from './household.ts';
import { type Options, readOptions, USAGE } from './options.ts';
import { randomFrom } from './random.ts';
import { hasFailed, page } from './report.ts';
import { FAULTS } from './table.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** As many as the largest stage takes. */
const NODES = 24;
const MOST_SENTENCES = 6;

const say = (words: string): void => void process.stderr.write(`faults: ${words}\n`);

const play = async (fault: Fault, options: Options, household: Household, folder: string): Promise<FaultResult> => {
  const startedMs = performance.now();
  const count = Math.max(fault.least ?? 1, Math.round(fault.base * options.scale));
  const history = new History(join(folder, `${fault.id}.jsonl`));
  // A fault alone strikes where it strikes among all the others.
  const random = randomFrom(options.seed ^ (numberOf(fault) * 0x9e3779b1));
  const wanted = { count, random, history, household, say: (words: string) => say(`${fault.id} ${words}`) };
  say(`${fault.id} ${fault.title}: ${count} ${fault.unit}`);
  const outcome = await fault.run(wanted).catch(asOutcome);
  await history.close();
  const violations = checkHistory(history.events);
  const broken = Map.groupBy(violations, ({ invariant }) => invariant);
  const misses = [
    ...outcome.misses,
    ...outcome.figures
      .filter(isMissed)
      .map(
        ({ name, limit, summary }) =>
          `${name}: ${limit?.of} is ${Math.round(summary[limit?.of ?? 'max'])} ms, not ${limit?.ms} ms`,
      ),
    ...[...broken].flatMap(([invariant, found]) => [
      ...found.slice(0, MOST_SENTENCES).map(({ sentence }) => `${invariant}: ${sentence}`),
      ...(found.length > MOST_SENTENCES ? [`${invariant}: and ${found.length - MOST_SENTENCES} more`] : []),
    ]),
  ];
  const result: FaultResult = {
    ...{ id: fault.id, title: fault.title, unit: fault.unit, count: outcome.count ?? count, figures: outcome.figures },
    lost: Math.max(outcome.lost, broken.get('I3')?.length ?? 0),
    doubled: (broken.get('I4')?.length ?? 0) + (broken.get('I2')?.length ?? 0),
    ...{ misses, notes: outcome.notes ?? [], seconds: (performance.now() - startedMs) / 1_000, historyFile: null },
  };
  const isKept = hasFailed(result) || options.historyFolder !== null;
  if (!isKept) for (const name of readdirSync(folder)) if (name.startsWith(`${fault.id}.`)) rmSync(join(folder, name));
  say(`${fault.id} ${hasFailed(result) ? `FAILED: ${misses[0]}` : 'held'} (${Math.round(result.seconds)} s)`);
  return { ...result, historyFile: isKept ? history.file : null };
};

const numberOf = ({ id }: { readonly id: string }): number => Number(id.slice(1));

const asOutcome = (error: unknown): Outcome => ({
  figures: [],
  lost: 0,
  misses: [`it could not be played to its end: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`],
});

const main = async (options: Options): Promise<number> => {
  const { conditions, finish } = await noteConditions(root);
  const folder = options.historyFolder ?? mkdtempSync(join(tmpdir(), 'lai-faults-'));
  mkdirSync(folder, { recursive: true });
  say('a household of nodes joins, which every fault begins with');
  const household = await foundHousehold(root, NODES);
  const leave = () => moveOut(household.folder);
  process.once('exit', leave);
  const results: FaultResult[] = [];
  const absent: string[] = [];
  try {
    const chosen: Fault[] = [];
    for (const fault of FAULTS.filter(({ id }) => options.only === null || options.only.has(id))) {
      const obstacle = (await fault.obstacle?.()) ?? null;
      if (obstacle === null) chosen.push(fault);
      else absent.push(`${fault.id}: ${obstacle}`);
    }
    const begin = async (fault: Fault) => void results.push(await play(fault, options, household, folder));
    for (const fault of chosen.filter(({ isPatient }) => !isPatient)) await begin(fault);
    await Promise.all(chosen.filter(({ isPatient }) => isPatient).map(begin));
    results.sort((a, b) => numberOf(a) - numberOf(b));
  } finally {
    leave();
    process.off('exit', leave);
  }
  finish();
  const only = options.only && [...options.only];
  const report = { conditions, scale: options.scale, seed: options.seed, only, results, absent };
  if (options.jsonFile !== null) writeFileSync(options.jsonFile, `${JSON.stringify(report, null, 1)}\n`);
  console.log(`\n${page(report)}`);
  const isClean = !results.some(hasFailed);
  if (isClean && options.historyFolder === null) rmSync(folder, { recursive: true, force: true });
  return isClean ? 0 : 1;
};

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130));
const known = FAULTS.map(({ id }) => id);
process.exit(await main(readOrExplain(USAGE, (args) => readOptions(args, known))));
