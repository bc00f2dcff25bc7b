/** `--against <git-ref>`: the same figures of Lai here and of Lai at another commit, round by round in one run. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { engineCacheDir } from '../engines/cache.ts';
import { run } from '../engines/command.ts';
import { noteConditions } from './conditions.ts';
import { cpuMsPerAnswer, cpuSPerMillionTokens, requestsPerS } from './figures.ts';
import { startLoad } from './load-process.ts';
import type { LoadResult } from './load-spec.ts';
import type { Options } from './options.ts';
import { figure, type PairedRounds, runPairs } from './pairs.ts';
import { circumstances, failures } from './report.ts';
import { type Scenario, scenarios } from './scenarios.ts';
import type { Paired } from './statistics.ts';
import { number, ratio, table } from './table.ts';
import type { Surroundings } from './target.ts';
import { startDirect } from './targets/direct.ts';
import { startLai } from './targets/lai.ts';

/** A commit's tree, unpacked and built outside the repository: whatever happens to us, git has nothing to clean up. */
const buildCommit = async (ref: string, root: string, folder: string): Promise<string> => {
  const tree = join(folder, 'then');
  mkdirSync(tree);
  const step = async (what: string, command: string, args: readonly string[], cwd: string) => {
    const outcome = await run(command, args, { cwd, limitMs: 300_000 });
    if (!outcome.ok) throw new Error(`${what} failed: ${outcome.lastLine}`);
  };
  const archive = join(folder, 'then.tar');
  await step(`taking ${ref} out of git`, 'git', ['archive', '--output', archive, `${ref}^{commit}`], root);
  await step('unpacking it', 'tar', ['-xf', archive], tree);
  // Its own lock file says what it is built with; nearly all of it is in pnpm's store already.
  await step('installing its packages', 'pnpm', ['install', '--frozen-lockfile', '--prefer-offline', '--ignore-scripts'], tree);
  for (const name of ['coordinator', 'agent'])
    await step(`building its ${name}`, process.execPath, ['../scripts/build.ts'], join(tree, name));
  return tree;
};

interface Row {
  readonly name: string;
  readonly scenario: PairedRounds['scenario'];
  readonly isMoreBetter?: true;
  /** What a process keeps from round to round: its rounds are no independent witnesses. */
  readonly isKept?: true;
  readonly read: (result: LoadResult) => number;
}

const rows: readonly Row[] = [
  ...(['ttft-1', 'ttft-16', 'ttft-64', 'arrivals'] as const).flatMap((scenario): Row[] => [
    { name: 'first token p50, ms', scenario, read: (result) => result.firstContentMs.p50 },
    { name: 'first token p99, ms', scenario, read: (result) => result.firstContentMs.p99 },
  ]),
  { name: 'answers/s', scenario: 'throughput', isMoreBetter: true, read: requestsPerS },
  ...['coordinator', 'agent', 'redis'].map(
    (part): Row => ({
      name: `${part} CPU ms per answer`,
      scenario: 'throughput',
      read: (result) => cpuMsPerAnswer(result, [part]),
    }),
  ),
  ...['coordinator', 'agent'].map(
    (part): Row => ({
      name: `${part} CPU s per million tokens`,
      scenario: 'relay',
      read: (result) => cpuSPerMillionTokens(result, [part]),
    }),
  ),
  {
    name: 'coordinator memory, MB',
    scenario: 'relay',
    isKept: true,
    read: (result) => result.processes['coordinator']?.rssMb ?? Number.NaN,
  },
];

/** Rounds that all point one way are worth a word; with five rounds chance alone does that once in sixteen. */
export const tendency = ({ larger, rounds }: Pick<Paired, 'larger' | 'rounds'>, isMoreBetter: boolean): string => {
  if (rounds < 5 || (larger !== 0 && larger !== rounds)) return 'no difference seen';
  return (larger === rounds) === isMoreBetter ? 'better in every round' : 'WORSE in every round';
};

/** Both sides in every round, and enough rounds for a tendency. */
const paired = ({ isAlone: _, ...scenario }: Scenario): Scenario => ({ ...scenario, rounds: Math.max(5, scenario.rounds) });

export const compareWithCommit = async (given: {
  options: Options;
  root: string;
  folder: string;
  build: string;
  say: (words: string) => void;
}): Promise<number> => {
  const { options, root, folder, build, say } = given;
  const ref = options.against ?? '';
  say(`building ${ref}`);
  const before = await buildCommit(ref, root, folder);
  const { conditions, finish } = await noteConditions(root);
  const direct = await startDirect(folder);
  const load = await startLoad(folder);
  const around: Surroundings = { engineUrl: direct.engineUrl, folder, cache: join(engineCacheDir(), 'bench') };
  const lai = { agentSide: options.agentSide, profileFolder: options.profileFolder };
  const then = await startLai({ ...lai, name: 'before', root: before }, around);
  const now = await startLai({ ...lai, name: 'now', root: build }, around);
  const pairs: PairedRounds[] = [];
  for (const scenario of scenarios(options.length)) {
    if (options.only !== null && !options.only.has(scenario.name)) continue;
    say(scenario.title);
    pairs.push(await runPairs(load, then, now, paired(scenario)));
  }
  for (const target of [now, then, load, direct]) await target.stop();
  finish();

  const measured = { name: 'now', version: now.version, idleRssMb: {}, pairs, ramp: null };
  const asRun = { conditions, length: options.length, isAgentApart: options.agentSide === 'load', targets: [measured] };
  if (options.jsonFile !== null) writeFileSync(options.jsonFile, `${JSON.stringify({ ...asRun, against: ref }, null, 1)}\n`);
  const lines = rows.flatMap(({ name, scenario, isMoreBetter, isKept, read }) => {
    const of = pairs.find((entry) => entry.scenario === scenario);
    if (!of) return [];
    const both = figure(of, read);
    return [
      [
        `${of.title}: ${name}`,
        number(both.baseline),
        number(both.subject),
        ratio(both.ratio),
        isKept === true ? '' : tendency(both, isMoreBetter === true),
      ],
    ];
  });
  console.log(`\n${[circumstances(asRun), table(['', ref, 'now', 'ratio', ''], lines), ...failures(asRun)].join('\n\n')}`);
  return failures(asRun).length > 0 ? 1 : 0;
};
