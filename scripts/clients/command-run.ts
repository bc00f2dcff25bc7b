import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Command, programOf, type Target } from './command-programs.ts';

const LAI = join(import.meta.dirname, '../../coordinator/dist/lai.js');
const OUTPUT_LIMIT = 1024 * 1024;
const SETUP_LIMIT_MS = 60_000;

export interface CommandRun {
  readonly folder: string;
  readonly command: Command;
  readonly target: Target;
  readonly prompt: string;
  /** A PNG to show, in base64. */
  readonly image: string | null;
}

/** A command-line program at work, with what it has said so far. */
export class RunningCommand {
  readonly ended: Promise<number | NodeJS.Signals | null>;
  readonly #child: ChildProcess;
  #text = '';

  /** Nothing of this machine's settings reaches the program: its environment is what it is given. */
  constructor(
    file: string,
    args: readonly string[],
    options: { env: Readonly<Record<string, string>>; home: string; stdin?: string | undefined },
  ) {
    const env = { PATH: process.env['PATH'] ?? '', HOME: options.home, TERM: 'dumb', ...options.env };
    // A group of its own, so that what it leaves running can be ended with it.
    this.#child = spawn(file, args, { env, cwd: options.home, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    this.#child.stdin?.on('error', () => {}).end(options.stdin ?? '');
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#text = (this.#text + text).slice(-OUTPUT_LIMIT);
      });
    }
    this.#child.on('error', (error) => {
      this.#text += error.message;
    });
    this.ended = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => resolve(code ?? signal));
      this.#child.once('error', () => resolve(null));
    });
  }

  get text(): string {
    return this.#text;
  }

  /** The end of what it said, for a sentence about what went wrong. */
  get lastWords(): string {
    return this.#text.trim().slice(-600);
  }

  interrupt(): void {
    this.#child.kill('SIGINT');
  }

  /** It and everything it started. */
  kill(): void {
    try {
      if (this.#child.pid !== undefined) process.kill(-this.#child.pid, 'SIGKILL');
    } catch {
      // gone already
    }
  }

  async finish(limitMs: number): Promise<void> {
    const timer = setTimeout(() => this.kill(), limitMs);
    const code = await this.ended;
    clearTimeout(timer);
    if (code === 'SIGKILL') throw new Error(`it took longer than ${limitMs / 1_000} s: …${this.lastWords}`);
  }
}

interface Started {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** `lai launch` finds the program on PATH, as a person's shell would. */
const byLaunch = ({ command, target }: CommandRun, { file, args, env }: Started, home: string): Started => {
  const { client = '', program = '' } = command.launch ?? {};
  const bin = join(home, 'bin');
  mkdirSync(bin, { recursive: true });
  if (!existsSync(join(bin, program))) symlinkSync(file, join(bin, program));
  return {
    file: process.execPath,
    args: [LAI, 'launch', client, '--model', target.model, '--', ...args],
    env: {
      ...env,
      PATH: `${bin}:${process.env['PATH'] ?? ''}`,
      ...{ LAI_URL: target.url, LAI_API_KEY: target.key, LAI_DATA_DIR: join(home, 'lai') },
    },
  };
};

/** Starts the program in a home of its own, which is gone afterwards together with everything that still runs. */
export const withCommand = async <T>(run: CommandRun, use: (running: RunningCommand) => Promise<T>): Promise<T> => {
  const home = mkdtempSync(join(tmpdir(), 'lai-client-'));
  const started: RunningCommand[] = [];
  try {
    const picture = join(home, 'dot.png');
    if (run.image !== null) writeFileSync(picture, Buffer.from(run.image, 'base64'));
    const shown = run.image === null ? null : { path: picture, base64: run.image };
    const { args, env = {}, files = {}, stdin, before } = run.command.start(run.target, run.prompt, shown);
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(home, path)), { recursive: true });
      writeFileSync(join(home, path), content);
    }
    const begin = (withArgs: readonly string[], input?: string): RunningCommand => {
      const given = { file: programOf(run.folder, run.command), args: withArgs, env };
      const { file, args: all, env: variables } = run.command.launch ? byLaunch(run, given, home) : given;
      const running = new RunningCommand(file, all, { env: variables, home, stdin: input });
      started.push(running);
      return running;
    };
    if (before) await begin(before).finish(SETUP_LIMIT_MS);
    return await use(begin(args, stdin));
  } finally {
    for (const running of started) running.kill();
    rmSync(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
};
