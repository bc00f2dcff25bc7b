/** `npm run bench`: what Lai costs, beside the engine alone and beside what people would use instead, in one run. See README.md. */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readOrExplain } from '../command-line.ts';
import { engineCacheDir } from '../engines/cache.ts';
import { compareWithCommit } from './ab.ts';
import { noteConditions } from './conditions.ts';
import { type Load, startLoad } from './load-process.ts';
import { type Options, readOptions, USAGE } from './options.ts';
import { type PairedRounds, runPairs } from './pairs.ts';
import { readProcess } from './process-figures.ts';
import { failures, report } from './report.ts';
import type { Measured, RunRecord } from './run-record.ts';
import { ramp, scenarios } from './scenarios.ts';
import { runRamp } from './streams-ramp.ts';
import type { Started, Surroundings, Target } from './target.ts';
import { startDirect } from './targets/direct.ts';
import { startLai } from './targets/lai.ts';
import { startNginx } from './targets/nginx.ts';
import { startNodeProxy } from './targets/node-proxy.ts';
import { startPortkey } from './targets/portkey.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const say = (words: string): void => void process.stderr.write(`bench: ${words}\n`);

/** The bundles as they are now: somebody may build again while we measure. */
const freeze = (folder: string): string => {
  for (const name of ['coordinator', 'agent'])
    cpSync(join(root, name, 'dist'), join(folder, 'build', name, 'dist'), { recursive: true });
  cpSync(join(root, 'package.json'), join(folder, 'build', 'package.json'));
  return join(folder, 'build');
};

const measure = async (target: Target, direct: Target, load: Load, options: Options): Promise<Measured> => {
  const idleRssMb = Object.fromEntries(
    Object.entries(target.pids).map(([name, pid]) => [name, readProcess(pid)?.rssMb ?? Number.NaN]),
  );
  const isLai = target.name === 'lai';
  const wanted = scenarios(options.length).filter(
    ({ name, for: whom }) => (whom === 'all' || whom.includes(target.name)) && (options.only === null || options.only.has(name)),
  );
  const pairs: PairedRounds[] = [];
  for (const scenario of wanted) {
    say(`${target.name}: ${scenario.title}`);
    pairs.push(await runPairs(load, direct, target, scenario));
  }
  const wantsRamp = isLai && (options.only === null || options.only.has('streams'));
  if (wantsRamp) say(`${target.name}: streams of 50 tokens/s, more and more`);
  const climbed = wantsRamp ? await runRamp(load, direct, target, ramp(options.length)) : null;
  return { name: target.name, version: target.version, idleRssMb, pairs, ramp: climbed };
};

const measureAll = async (options: Options, folder: string): Promise<RunRecord> => {
  const { conditions, finish } = await noteConditions(root);
  const direct = await startDirect(folder);
  const load = await startLoad(folder);
  const around: Surroundings = { engineUrl: direct.engineUrl, folder, cache: join(engineCacheDir(), 'bench') };
  const build = freeze(folder);
  const { agentSide, profileFolder } = options;
  const starts: Record<string, () => Promise<Started>> = {
    lai: () => startLai({ name: 'lai', root: build, agentSide, profileFolder }, around),
    nginx: () => startNginx(around),
    portkey: () => startPortkey(around),
    'node-proxy': () => startNodeProxy(around),
  };
  const targets: Measured[] = [];
  const absent: string[] = [];
  for (const name of ['lai', ...options.rivals]) {
    const start = starts[name];
    if (start === undefined) continue;
    // Without Lai there is nothing to measure; without one of the others there is.
    const target = await (name === 'lai' ? start() : start().catch(asAbsent));
    if ('absent' in target) {
      say(`${name} is left out: ${target.absent}`);
      absent.push(`${name}: ${target.absent}`);
      continue;
    }
    targets.push(await measure(target, direct, load, options));
    await target.stop();
  }
  await load.stop();
  await direct.stop();
  finish();
  return { conditions, length: options.length, isAgentApart: agentSide === 'load', targets, absent };
};

const asAbsent = (error: unknown): Started => ({ absent: error instanceof Error ? error.message : String(error) });

const main = async (options: Options): Promise<number> => {
  const folder = mkdtempSync(join(tmpdir(), 'lb-'));
  try {
    if (options.profileFolder !== null) mkdirSync(options.profileFolder, { recursive: true });
    if (options.against !== null) return await compareWithCommit({ options, root, folder, build: freeze(folder), say });
    const run = await measureAll(options, folder);
    if (options.jsonFile !== null) writeFileSync(options.jsonFile, `${JSON.stringify(run, null, 1)}\n`);
    console.log(`\n${report(run)}`);
    return failures(run).length > 0 ? 1 : 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130));
process.exit(
  await main(
    readOrExplain(USAGE, (args) => {
      const options = readOptions(args);
      return { ...options, profileFolder: options.profileFolder && resolve(options.profileFolder) };
    }),
  ),
);
