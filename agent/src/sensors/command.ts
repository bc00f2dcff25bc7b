import { execa } from 'execa';

/** How a short vendor command ended. A missing program and a failing one are expected answers, not exceptions. */
export type CommandOutcome =
  | { kind: 'ran'; stdout: string; stderr: string; exitCode: number }
  | { kind: 'missing' }
  | { kind: 'unfinished'; reason: string };

export type CommandRequest = {
  file: string;
  args: readonly string[];
  deadlineMs: number;
  signal: AbortSignal;
  /** Replaces PATH for this one command. */
  searchPath?: string;
};

export type RunCommand = (request: CommandRequest) => Promise<CommandOutcome>;

const OUTPUT_LIMIT_CHARACTERS = 4 * 1024 * 1024;
const FORCE_KILL_AFTER_MS = 1_000;

/** Runs one command without a shell; it is dead when the promise settles, whatever way that happens. */
export const runCommand: RunCommand = async ({ file, args, deadlineMs, signal, searchPath }) => {
  const result = await execa(file, args, {
    reject: false,
    stdin: 'ignore',
    timeout: deadlineMs,
    cancelSignal: signal,
    forceKillAfterDelay: FORCE_KILL_AFTER_MS,
    maxBuffer: OUTPUT_LIMIT_CHARACTERS,
    env: searchPath === undefined ? {} : { PATH: searchPath },
  });
  if (result.code === 'ENOENT' || result.code === 'EACCES') return { kind: 'missing' };
  if (result.exitCode === undefined) {
    return {
      kind: 'unfinished',
      reason: result.timedOut ? `no answer within ${deadlineMs} ms` : (result.shortMessage ?? 'stopped'),
    };
  }
  return { kind: 'ran', stdout: result.stdout, stderr: result.stderr, exitCode: result.exitCode };
};
