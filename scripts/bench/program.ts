/** Programs that the benchmark runs: pinned to a core where that is possible, their words kept in a file, stopped for sure. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { onPath } from '../engines/cache.ts';
import { descendants } from './process-figures.ts';

const STOP_GRACE_MS = 10_000;

/** Which core a program may use: `target` has one for itself, load generator and engine share another. */
export type Side = 'target' | 'load';

export const canPin = (): boolean => onPath('taskset') !== undefined && availableParallelism() >= 2;

const coreOf = (side: Side): string => (side === 'target' ? '0' : '1');

export interface Program {
  readonly pid: number;
  readonly child: ChildProcess;
  /** Everything it has printed so far. */
  words(): string;
  stop(): Promise<void>;
}

export interface ProgramOptions {
  readonly command: readonly string[];
  readonly side: Side;
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** With a channel for messages to it. */
  readonly hasChannel?: boolean;
}

const running = new Set<ChildProcess>();
// Whatever way we end, nothing that we started stays: a private Redis, for one, would outlive a coordinator that was killed.
process.once('exit', () => {
  for (const child of running) for (const pid of [...descendants(child.pid ?? 0), child.pid ?? 0]) kill(pid);
});

const kill = (pid: number): void => {
  try {
    if (pid > 0) process.kill(pid, 'SIGKILL');
  } catch {
    // ended meanwhile
  }
};

export const startProgram = async (options: ProgramOptions): Promise<Program> => {
  const { command, side, logFile, env, cwd, hasChannel } = options;
  const words = canPin() ? ['taskset', '-c', coreOf(side), ...command] : [...command];
  const log = openSync(logFile, 'a');
  const child = spawn(words[0] ?? '', words.slice(1), {
    env: { ...process.env, ...env },
    ...(cwd === undefined ? {} : { cwd }),
    // JSON would turn the NaN of an empty series into null.
    serialization: 'advanced',
    stdio: ['ignore', log, log, ...(hasChannel ? (['ipc'] as const) : [])],
  });
  closeSync(log);
  running.add(child);
  const ended = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('exit', () => {
      running.delete(child);
      resolve();
    });
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  return {
    pid: child.pid ?? 0,
    child,
    words: () => readFileSync(logFile, 'utf8'),
    stop: async () => {
      const force = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
      child.kill('SIGTERM');
      await ended;
      clearTimeout(force);
    },
  };
};

/** Looks again and again until there is something to see. Names the program's last words when it gives up. */
export const waitFor = async <T>(
  what: string,
  program: Program,
  look: () => Promise<T | null> | T | null,
  limitMs = 20_000,
): Promise<T> => {
  const untilMs = performance.now() + limitMs;
  for (;;) {
    const seen = await look();
    if (seen !== null) return seen;
    const isGone = program.child.exitCode !== null || program.child.signalCode !== null;
    if (isGone || performance.now() > untilMs) {
      const last = program.words().trim().split('\n').slice(-3).join(' / ');
      throw new Error(
        `${what} ${isGone ? 'ended by itself' : `was not ready within ${limitMs / 1_000} s`}: ${last || 'it printed nothing'}`,
      );
    }
    await pause(50);
  }
};
