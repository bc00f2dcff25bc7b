import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Layout } from './layout.ts';
import type { Step } from './steps.ts';
import { writeTrial } from './trial.ts';
import { currentVersion, installedVersions, type Program, switchTo } from './versions.ts';

/** An unpacked release: the whole program folder of a bare machine, apart from what is current. */
export interface Staged {
  readonly dir: string;
  readonly version: string;
}

export const stagedIn = (dir: string, usesLink = process.platform !== 'win32'): Staged => {
  const [version, ...others] = installedVersions({ dir, usesLink });
  if (version === undefined || others.length > 0) throw new Error(`${dir} is no unpacked release of the agent.`);
  return { dir, version };
};

/** The program of a release beside what is there, and then in its place; on trial when something is there to go back to. */
export const placeSteps = (staged: Staged, program: Program, layout: Layout): Step[] => {
  const pieces = readdirSync(staged.dir).flatMap((name) =>
    name === 'runtime' || name === 'versions' ? readdirSync(join(staged.dir, name)).map((below) => join(name, below)) : [name],
  );
  return [
    ...pieces.map((piece) => copyStep(join(staged.dir, piece), join(program.dir, piece))),
    {
      what: `switch to version ${staged.version}`,
      isDone: () => currentVersion(program) === staged.version,
      act: () => {
        const previous = currentVersion(program);
        if (previous !== null && installedVersions(program).includes(previous))
          writeTrial(program.dir, { version: staged.version, previous, starts: 0, deadlineMs: null });
        switchTo(program, staged.version);
      },
    },
    ...(program.usesLink ? [linkStep(join(program.dir, 'lai-agent'), layout.commandPath)] : []),
  ];
};

/** Whole or not at all: copied beside its place, then renamed. */
const copyStep = (from: string, to: string): Step => ({
  what: `put ${to} in place`,
  isDone: () => existsSync(to) && digestOf(from) === digestOf(to),
  act: () => {
    mkdirSync(dirname(to), { recursive: true });
    const draft = mkdtempSync(join(dirname(to), '.staging-'));
    try {
      const copy = join(draft, 'copy');
      cpSync(from, copy, { recursive: true, verbatimSymlinks: true });
      openToReaders(copy);
      clear(to);
      renameSync(copy, to);
    } finally {
      rmSync(draft, { recursive: true, force: true });
    }
  },
});

/** Windows does not remove a program that runs, but it lets it be called otherwise; what was left of the last time goes now. */
const clear = (path: string): void => {
  const aside = `${path}.old`;
  try {
    rmSync(aside, { recursive: true, force: true });
    rmSync(path, { recursive: true, force: true });
  } catch (error) {
    if (process.platform !== 'win32') throw error;
    renameSync(path, aside);
  }
};

const linkStep = (target: string, path: string): Step => ({
  what: `link ${path} to it`,
  isDone: () => {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found && !found.isSymbolicLink())
      throw new Error(`${path} is there and not ours. Move it away, or remove the package that it came with.`);
    return found !== undefined && readlinkSync(path) === target;
  },
  act: () => {
    mkdirSync(dirname(path), { recursive: true });
    rmSync(path, { force: true });
    symlinkSync(target, path);
  },
});

/** Of names, contents and who may run it; files of a program are few. */
const digestOf = (path: string): string => {
  const hash = createHash('sha256');
  const add = (each: string, name: string) => {
    const found = lstatSync(each);
    const isProgram = found.isFile() && (found.mode & 0o111) !== 0;
    hash.update(`${name}\0${found.isDirectory() ? 'folder' : isProgram ? 'program' : 'file'}\0`);
    if (found.isDirectory()) for (const below of readdirSync(each).sort()) add(join(each, below), `${name}/${below}`);
    else hash.update(readFileSync(each));
  };
  add(path, '');
  return hash.digest('hex');
};

/** The release was unpacked with a closed umask, and everybody on the machine may ask the agent how it is. */
const openToReaders = (path: string): void => {
  const found = lstatSync(path);
  if (found.isSymbolicLink()) return;
  chmodSync(path, found.isDirectory() || (found.mode & 0o100) !== 0 ? 0o755 : 0o644);
  if (found.isDirectory()) for (const below of readdirSync(path)) openToReaders(join(path, below));
};
