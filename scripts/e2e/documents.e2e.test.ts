/**
 * Every command in the documents: those about a fleet are run against one, in the order in which a reader meets them; of all others,
 * program, subcommand and options are held against what the program itself says it takes.
 */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commandsIn, type Documented } from './documented-commands.ts';
import { Fleet } from './fleet.ts';

const ROOT = join(import.meta.dirname, '../..');
const PROGRAMS: Readonly<Record<string, string>> = { lai: 'coordinator/dist/lai.js', 'lai-agent': 'agent/dist/lai-agent.js' };
const OURS = [...Object.keys(PROGRAMS), 'npm', 'pnpm', 'npx'];
/** Of the systems that the documents speak of; whether they are here does not matter, that nobody invented them does. */
const OTHERS = [
  ...['gh', 'sha256sum'],
  ...[
    'apt-get',
    'useradd',
    'mkdir',
    'tar',
    'ln',
    'install',
    'systemctl',
    'docker',
    'curl',
    'git',
    'cd',
    'sh',
    'export',
    'openssl',
  ],
  ...[
    'sudo',
    'loginctl',
    'journalctl',
    'pmset',
    'brew',
    'nvidia-smi',
    'mv',
    'echo',
    'cat',
    'ollama',
    'node',
    'modprobe',
    'update-initramfs',
  ],
];

const pages = globSync('{*.md,docs/*.md,scripts/*/README.md,deploy/**/*.md}', { cwd: ROOT }).filter(
  (page) => page !== 'CHANGELOG.md',
);
const documented = pages.flatMap((page) => commandsIn(page, readFileSync(join(ROOT, page), 'utf8'), OURS));
const scripts = (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> }).scripts;

interface Taken {
  readonly commands: ReadonlySet<string>;
  readonly options: ReadonlySet<string>;
}

const asked = new Map<string, Promise<Taken>>();
/** What `lai … --help` says that it takes. */
const takenBy = (program: string, path: readonly string[]): Promise<Taken> => {
  const id = [program, ...path].join(' ');
  const known = asked.get(id);
  if (known) return known;
  const file = join(ROOT, PROGRAMS[program] ?? '');
  const help = promisify(execFile)(process.execPath, [file, ...path, '--help'], { timeout: 60_000 }).then(
    ({ stdout }) => stdout,
    (error: { stdout?: string }) => error.stdout ?? '',
  );
  const taken = help.then((text) => {
    const [, after = ''] = text.split(/^Commands:$/m);
    return {
      commands: new Set([...after.matchAll(/^ {2}([a-z][\w-]*)/gm)].map(([, name = '']) => name)),
      options: new Set([...text.matchAll(/(--[a-z][\w-]*|(?<=^ {2})-[A-Za-z])(?![\w-])/gm)].map(([, name = '']) => name)),
    };
  });
  asked.set(id, taken);
  return taken;
};

const optionsIn = (words: readonly string[]): string[] => {
  const end = words.indexOf('--');
  const ours = end === -1 ? words : words.slice(0, end);
  return ours.filter((word) => /^--?[a-z]/i.test(word)).map((word) => word.split('=')[0] ?? '');
};

/** What is wrong with a command of `lai` or `lai-agent`; null when nothing is. */
const problemOf = async (program: string, words: readonly string[]): Promise<string | null> => {
  const path: string[] = [];
  let taken = await takenBy(program, []);
  let rest = words;
  while (taken.commands.size > 0) {
    const [next, ...others] = rest;
    if (next === undefined || next.startsWith('-') || next === '…') break;
    const alternatives = next.split(/\\?\|/);
    const unknown = alternatives.find((name) => !taken.commands.has(name));
    if (unknown !== undefined)
      return path.length === 0 || taken.commands.size > 1 ? `there is no ${[program, ...path, unknown].join(' ')}` : null;
    path.push(alternatives[0] ?? '');
    rest = others;
    taken = await takenBy(program, path);
  }
  const wrong = optionsIn(rest).find((option) => option !== '--help' && !taken.options.has(option));
  return wrong === undefined ? null : `${[program, ...path].join(' ')} has no ${wrong}`;
};

const npmProblem = (words: readonly string[]): string | null => {
  const [verb = '', name = ''] = words;
  const script = verb === 'run' ? name : verb;
  if (['install', 'ci', 'view', 'pack'].includes(verb)) return null;
  if (scripts[script] === undefined) return `package.json has no script ${script}`;
  const file = / run (\S+\.ts)$/.exec(scripts[script])?.[1];
  if (file === undefined) return null;
  const at = words.indexOf('--');
  const usage = readUsage(file);
  const wrong = at === -1 ? undefined : optionsIn(words.slice(at + 1)).find((option) => !usage.includes(option));
  return wrong === undefined ? null : `npm run ${script} has no ${wrong}`;
};
const usages = new Map<string, string>();
const readUsage = (file: string): string => {
  const known = usages.get(file) ?? spawnSync(process.execPath, [file, '--help'], { cwd: ROOT, encoding: 'utf8' }).stdout;
  usages.set(file, known);
  return known;
};

const check = async ({ words, text }: Documented): Promise<string | null> => {
  const [program = '', ...rest] = words;
  if (program in PROGRAMS) return problemOf(program, rest);
  if (program === 'npm' || program === 'pnpm') return npmProblem(rest[0] === '--silent' ? rest.slice(1) : rest);
  if (program === 'npx') return rest[0] === 'vitest' ? null : `npx ${rest[0]} is not one of our tools`;
  // Whoever reads it inside of the container or as another account types the same.
  const inner = rest.findIndex((word) => word in PROGRAMS);
  if ((program === 'docker' || program === 'sudo') && inner !== -1 && !text.includes(' sh -c '))
    return problemOf('lai', rest.slice(rest.lastIndexOf('lai') + 1));
  const isKnown = OTHERS.includes(program) || existsSync(join(ROOT, program)) || /^[A-Z_]+=/.test(program);
  return isKnown ? null : `${program} is a program that no other document knows`;
};

describe('the documents', { timeout: 240_000 }, () => {
  it('speak of commands in many places', () => {
    expect(documented.filter(({ words: [program = ''] }) => program in PROGRAMS).length).toBeGreaterThan(60);
  });

  it('name only programs, commands and options that exist', async () => {
    const problems: string[] = [];
    for (const command of documented) {
      const problem = await check(command);
      if (problem !== null) problems.push(`${command.where}: ${command.text}: ${problem}`);
    }
    expect(problems).toEqual([]);
  });

  it('hold only shell blocks that a shell can read', () => {
    const broken = pages.flatMap((page) =>
      [...readFileSync(join(ROOT, page), 'utf8').matchAll(/^```sh\n([\s\S]*?)^```$/gm)]
        // A placeholder is a redirection to the shell, and an ellipsis a word.
        .filter(([, block = '']) => spawnSync('sh', ['-n'], { input: block.replaceAll(/<[\w -]+>/g, 'x') }).status !== 0)
        .map(([, block]) => `${page}: ${block}`),
    );
    expect(broken).toEqual([]);
  });
});

describe('docs/operating.md', { timeout: 240_000 }, () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await Fleet.start({ nodes: [{ name: 'attic', models: 'qwen3:8b=0.5GB,slots=2,tps=50,ctx=8192,caps=chat' }] });
  });
  afterAll(async () => {
    await fleet?.stop();
  });

  /**
   * They start or replace a coordinator, make the node go for good, name a request, or need an engine that downloads models: tests of
   * their own run them.
   */
  const ELSEWHERE = /^lai (?:serve|up|restore|launch|join-command|updates start|nodes revoke|explain <|pull|models remove)/;

  it('has commands that do what they say, one after another', async () => {
    const commands = commandsIn('docs/operating.md', readFileSync(join(ROOT, 'docs/operating.md'), 'utf8'), ['lai']).filter(
      ({ words, text, isTyped }) =>
        isTyped && words[0] === 'lai' && !ELSEWHERE.test(text) && !/[…<|]/.test(text.split('#')[0] ?? ''),
    );
    const done: string[] = [];
    for (const { words, where } of commands) {
      const args = words.slice(1).map((word) => (word === 'lai-backup.db' ? join(fleet.directory, word) : word));
      await fleet.lai(...args).catch((error: Error) => {
        throw new Error(`${where}: lai ${args.join(' ')}: ${error.message}`);
      });
      done.push(args.join(' '));
    }
    expect(done.length).toBeGreaterThan(7);
    expect(done).toContain('models load qwen3:8b');
  });
});
