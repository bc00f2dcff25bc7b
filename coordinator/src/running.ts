import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';

/**
 * Where a coordinator runs on this machine, so that commands find it without being told. Two notes: in its data directory what runs
 * there, and among the user's state which directories there are. Both are only hints: what they say is checked before it is believed.
 */

export const RunningCoordinator = z.object({
  pid: z.number().int().positive(),
  url: z.url(),
  version: z.string(),
  startedAtMs: z.number(),
});
export type RunningCoordinator = z.infer<typeof RunningCoordinator>;

const noteIn = (dataDir: string): string => join(dataDir, 'running.json');

/** The coordinator whose process is alive and that last said it runs on this directory. */
export const runningIn = (dataDir: string): RunningCoordinator | null => {
  try {
    const note = RunningCoordinator.parse(JSON.parse(readFileSync(noteIn(dataDir), 'utf8')));
    return isAlive(note.pid) ? note : null;
  } catch {
    return null;
  }
};

/** Writes both notes; the result takes the first one back. A home that cannot be written to is no reason not to serve. */
export const noteRunning = (dataDir: string, running: RunningCoordinator, env: NodeJS.ProcessEnv): (() => void) => {
  writeFileSync(noteIn(dataDir), `${JSON.stringify(running)}\n`, { mode: 0o600 });
  try {
    mkdirSync(stateDir(env), { recursive: true, mode: 0o700 });
    const name = createHash('sha256').update(resolve(dataDir)).digest('hex').slice(0, 16);
    writeFileSync(join(stateDir(env), name), `${resolve(dataDir)}\n`, { mode: 0o600 });
  } catch {
    // Commands then have to be told the directory.
  }
  return () => {
    if (runningIn(dataDir)?.pid === running.pid) rmSync(noteIn(dataDir), { force: true });
  };
};

/** Data directories of this user's coordinators, the one that was started last first. Forgets those that are gone. */
export const knownDataDirs = (env: NodeJS.ProcessEnv): string[] => {
  try {
    return readdirSync(stateDir(env))
      .map((name) => join(stateDir(env), name))
      .map((file) => ({ file, dir: readFileSync(file, 'utf8').trim(), atMs: statSync(file).mtimeMs }))
      .filter(({ file, dir }) => {
        if (holdsCoordinator(dir)) return true;
        rmSync(file, { force: true });
        return false;
      })
      .sort((a, b) => b.atMs - a.atMs)
      .map(({ dir }) => dir);
  } catch {
    return [];
  }
};

/** Has a coordinator ever run on this directory? */
export const holdsCoordinator = (dataDir: string): boolean =>
  ['lai.sqlite', 'operator.key', 'running.json'].some((name) => existsSync(join(dataDir, name)));

const stateDir = (env: NodeJS.ProcessEnv): string =>
  join(env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state'), 'lai', 'coordinators');

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Alive, and somebody else's.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
};
