/**
 * Real clients, unmodified from npm, against a coordinator, its Redis, an agent and an engine as real processes; libraries also with a real
 * llama-server. Exits with 1 when something that was tried does not work. What cannot be installed here is said and left out.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { optionsOr } from '../command-line.ts';
import { Fleet } from '../e2e/fleet.ts';
import { anthropicBodies, checkBodies, openAiBodies } from './bodies.ts';
import { commands } from './command-programs.ts';
import { runCommand } from './commands.ts';
import { writeTable } from './docs.ts';
import { type ClientEngine, startClientEngine } from './engine.ts';
import { layOut, libraries, runLibrary, type Told } from './libraries.ts';
import { FEATURES, type Feature, type Outcome, problemsOf, type Row, tableOf } from './matrix.ts';
import { lintDocument } from './openapi-lint.ts';
import { installed, LIBRARIES } from './packages.ts';
import { publishedSchemas } from './published-schemas.ts';
import { tryRealEngine } from './real-engine.ts';

const USAGE = `usage: npm run clients -- [options]
  --libraries          the libraries alone (a minute), without command-line programs
  --only <name>        one of them, such as codex; again for more
  --hold-seconds <n>   how long a cold load holds them (30; less is quicker and proves less)
  --write              writes the table into docs/clients.md`;
const values = optionsOr(USAGE, {
  libraries: { type: 'boolean', default: false },
  only: { type: 'string', multiple: true, default: [] },
  'hold-seconds': { type: 'string', default: '30' },
  write: { type: 'boolean', default: false },
});

const GREETING = 'Hello from the house.';
/** A red dot. */
const IMAGE = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==';
const ABORT_LIMIT_MS = 5_000;
const LIBRARY_LIMIT_MS = 120_000;
const holdMs = Number(values['hold-seconds']) * 1_000;
const isWanted = (name: string) => values.only.length === 0 || values.only.includes(name);

const wantedLibraries = libraries.filter(({ program }) => isWanted(program));
const wantedCommands = values.libraries ? [] : commands.filter(({ name }) => isWanted(name));

const coldModelOf = (name: string) => `cold-${name}`;

/** A client that hung up must have stopped the engine, not only itself. */
const withAbort = async (
  engine: ClientEngine,
  abortedBefore: number,
  outcome: Outcome | undefined,
): Promise<Outcome | undefined> => {
  if (outcome?.outcome !== 'ok') return outcome;
  const deadline = performance.now() + ABORT_LIMIT_MS;
  while (performance.now() < deadline) {
    if (engine.log.aborted > abortedBefore && engine.log.streaming === 0) return outcome;
    await pause(20);
  }
  return { outcome: 'failed', problem: 'the engine went on generating' };
};

const tryLibraries = async (fleet: Fleet, engine: ClientEngine): Promise<Row[]> => {
  const folder = await installed(LIBRARIES);
  layOut(folder);
  const toldOf = (program: string): Told => ({
    ...{ url: fleet.url, key: fleet.key, model: 'talker', coldModel: coldModelOf(program), slowModel: 'talker' },
    ...{ embedder: 'embedder', greeting: GREETING, image: IMAGE, tooLong: 'TOOLONG', isReal: false },
  });
  // The holds wait side by side; everything else takes turns, so that what the engine sees is whose it is.
  const holds = wantedLibraries.map(({ program }) =>
    runLibrary({ folder, program, features: ['hold'], told: toldOf(program), limitMs: LIBRARY_LIMIT_MS + holdMs }),
  );
  const rows: Row[] = [];
  for (const [at, { program, ...library }] of wantedLibraries.entries()) {
    const told = toldOf(program);
    const quick: Feature[] = FEATURES.filter((feature) => feature !== 'hold' && feature !== 'cancel');
    const outcomes = await runLibrary({ folder, program, told, limitMs: LIBRARY_LIMIT_MS, features: quick });
    const abortedBefore = engine.log.aborted;
    const { cancel } = await runLibrary({ folder, program, told, limitMs: LIBRARY_LIMIT_MS, features: ['cancel'] });
    const stopped = await withAbort(engine, abortedBefore, cancel);
    rows.push({ ...library, outcomes: { ...outcomes, ...(stopped ? { cancel: stopped } : {}), ...(await holds[at]) } });
    say(rows.at(-1));
  }
  return rows;
};

const tryCommands = async (fleet: Fleet, engine: ClientEngine): Promise<Row[]> => {
  const rows: Row[] = [];
  for (const command of wantedCommands) {
    const row = await runCommand(command, {
      engine,
      target: { url: fleet.url, key: fleet.key, model: 'talker', coldModel: coldModelOf(command.name) },
      greeting: GREETING,
      image: IMAGE,
      holdMs,
      confirmAbort: (before, outcome) => withAbort(engine, before, outcome),
    });
    rows.push(row);
    say(row);
  }
  return rows;
};

/** Every kind of body against the vendors' published schemas. */
const trySchemas = async (fleet: Fleet): Promise<string[]> => {
  const vendors = { openai: openAiBodies, anthropic: anthropicBodies } as const;
  const problems: string[] = [];
  for (const vendor of ['openai', 'anthropic'] as const) {
    const check = await publishedSchemas(vendor).catch((error: unknown) => String(error));
    if (typeof check === 'string') {
      console.log(`bodies for ${vendor}: not checked, ${check}`);
      continue;
    }
    const headers: Record<string, string> = vendor === 'anthropic' ? { 'anthropic-version': '2023-06-01' } : {};
    const found = await checkBodies(fleet, vendors[vendor], { check, headers });
    console.log(`bodies for ${vendor}: ${vendors[vendor].length} requests, ${found.length} problems`);
    problems.push(...found);
  }
  return problems;
};

const say = (row: Row | undefined): void => {
  if (!row) return;
  const told = FEATURES.map((feature) => `${feature} ${row.outcomes[feature]?.outcome ?? '–'}`).join(', ');
  console.log(`${row.client} ${row.version}: ${row.skipped ?? told}`);
};

const engine = await startClientEngine({
  coldMs: holdMs,
  coldModels: [...wantedLibraries.map(({ program }) => program), ...wantedCommands.map(({ name }) => name)].map(coldModelOf),
});
const fleet = await Fleet.start({
  nodes: [{ name: 'house', models: '', agentArgs: ['--runtime', 'mock', '--mock-url', engine.url] }],
});
let rows: Row[] = [];
let wrongBodies: string[] = [];
try {
  if (values.only.length === 0) wrongBodies = [...(await trySchemas(fleet)), ...(await lintDocument(fleet.url))];
  rows = [...(wantedLibraries.length > 0 ? await tryLibraries(fleet, engine) : []), ...(await tryCommands(fleet, engine))];
} finally {
  await fleet.stop();
  await engine.close();
}
const real = wantedLibraries.length > 0 ? await tryRealEngine(wantedLibraries) : { missing: 'no library was asked for' };
console.log(`\n${tableOf(rows)}\n`);
console.log(
  'missing' in real ? `With a real engine: not tried, ${real.missing}\n` : `With ${real.engine}:\n\n${tableOf(real.rows)}\n`,
);
const problems = [...problemsOf(rows), ...('missing' in real ? [] : problemsOf(real.rows)), ...wrongBodies];
for (const problem of problems) console.log(problem);
if (values.write) writeTable({ rows, real: 'missing' in real ? null : real, holdSeconds: holdMs / 1_000 });
process.exit(problems.length > 0 ? 1 : 0);
