/** Runs a short-lived program to its end and says what it said. */
import { execFile } from 'node:child_process';
import { env } from 'node:process';

export interface Outcome {
  ok: boolean;
  /** Standard output and standard error, each trimmed. */
  stdout: string;
  stderr: string;
  /** The last line the program printed, or why it could not run: for one-line reports. */
  lastLine: string;
}

export interface CommandOptions {
  cwd?: string;
  env?: Record<string, string>;
  limitMs: number;
}

export function run(command: string, args: readonly string[], options: CommandOptions): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(
      command,
      args,
      {
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        env: { ...env, ...options.env },
        timeout: options.limitMs,
        maxBuffer: 64 * 1024 * 1024,
      },
      (error, stdout, stderr) => {
        const printed = `${stdout}\n${stderr}`.trim().split('\n').at(-1)?.trim() ?? '';
        const late = error?.killed === true ? `${command} took longer than ${options.limitMs / 1000} s` : undefined;
        resolve({
          ok: error === null,
          stdout: stdout.trim(),
          stderr: stderr.trim(),
          lastLine: late ?? (printed || error?.message || ''),
        });
      },
    );
  });
}
