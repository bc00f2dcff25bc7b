import { childEnvironment } from '@lai/shared/child-environment';
import { execa } from 'execa';

const STOP_GRACE_MS = 3_000;
const LAST_WORDS_CHARACTERS = 300;

export interface EngineCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** How a process ended. `how` is a sentence for people, with the last thing that it said. */
export interface EngineExit {
  readonly how: string;
  readonly exitCode: number | null;
  readonly signal: string | null;
}

/**
 * One run of an engine's process, in a process group of its own. Single writer of its child.
 *
 *   running ──exit──► gone          stop(): SIGTERM to the group, SIGKILL after 3 s (Windows: taskkill /T /F)
 *
 * However it goes, what is left of its group is killed: an orphaned runner would keep the GPU's memory, and our pipes open.
 */
export class EngineProcess {
  readonly exited: Promise<EngineExit>;
  readonly #child: Child;
  #lastWords = '';

  constructor(command: EngineCommand, onLine: (line: string, from: 'stdout' | 'stderr') => void) {
    this.#child = spawn(command);
    this.#child.nodeChildProcess.once('exit', () => this.#child.kill('SIGKILL'));
    for (const from of ['stdout', 'stderr'] as const) {
      void readLines(this.#child.iterable({ from }), (line) => {
        if (line.trim() !== '') this.#lastWords = line.trim().slice(0, LAST_WORDS_CHARACTERS);
        onLine(line, from);
      });
    }
    this.exited = this.#child.then(({ exitCode, signal, code, originalMessage }) => {
      const ending =
        exitCode === undefined
          ? signal === undefined
            ? `could not be started (${code ?? originalMessage ?? 'unknown'})`
            : `was ended by ${signal}`
          : `ended with exit code ${exitCode}`;
      return {
        how: this.#lastWords === '' ? ending : `${ending}, saying "${this.#lastWords}"`,
        exitCode: exitCode ?? null,
        signal: signal ?? null,
      };
    });
  }

  /** Undefined when it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Settles when it is gone. */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.exited;
  }
}

const readLines = async (lines: AsyncIterable<unknown>, take: (line: string) => void): Promise<void> => {
  try {
    for await (const line of lines) take(String(line));
  } catch {
    // The pipe broke because the process died; its exit is told elsewhere.
  }
};

type Child = ReturnType<typeof spawn>;

const spawn = ({ file, args, env = {} }: EngineCommand) =>
  execa(file, args, {
    // stdin stays open: our engines' stand-in exits when it closes, which it does however we die.
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
    buffer: false,
    reject: false,
    // Signals go to the whole group, so that runner processes die with it, also when we exit without stop().
    killDescendants: true,
    forceKillAfterDelay: STOP_GRACE_MS,
    cleanup: true,
    extendEnv: false,
    env: { ...childEnvironment(process.env), ...env },
  });
