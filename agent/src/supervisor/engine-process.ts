import { backoffMs } from '@lai/shared/backoff';
import { execa } from 'execa';
import type { Logger } from 'pino';

const STOP_GRACE_MS = 3_000;
/** A process that stood this long has earned a fresh start of its backoff. */
const HEALTHY_MS = 60_000;

/**
 * An engine process of our own: started, restarted with backoff when it dies, stopped as a whole group. Single writer of its child.
 *
 *   starting ──► running ──exit──► waiting (backoff) ──► starting
 *        └────────── close() ──────────► stopped: SIGTERM to the group, SIGKILL after 3 s
 *
 * However it goes, what is left of its group is killed: an orphaned runner would keep the GPU's memory, and our pipes open.
 */
export class EngineProcess {
  readonly #command: () => { file: string; args: readonly string[]; env?: Record<string, string> };
  readonly #log: Logger;
  readonly #onStdout: ((line: string) => void) | undefined;
  #child: Child | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #isClosed = false;

  constructor(options: {
    command: () => { file: string; args: readonly string[]; env?: Record<string, string> };
    log: Logger;
    onStdout?: (line: string) => void;
  }) {
    this.#command = options.command;
    this.#log = options.log;
    this.#onStdout = options.onStdout;
  }

  start(): void {
    if (this.#isClosed) return;
    const { file, args, env } = this.#command();
    const startedAtMs = performance.now();
    const child = spawn(file, args, env);
    this.#child = child;
    child.nodeChildProcess.once('exit', () => child.kill('SIGKILL'));
    void this.#readLines(child.iterable({ from: 'stdout' }), (line) => this.#onStdout?.(line));
    void this.#readLines(child.iterable({ from: 'stderr' }), (line) => this.#log.debug({ engine: file }, line));
    void child.then((result) => {
      this.#child = undefined;
      if (this.#isClosed) return;
      this.#failures = performance.now() - startedAtMs > HEALTHY_MS ? 0 : this.#failures + 1;
      const waitMs = backoffMs(this.#failures, Math.random(), { baseMs: 500, capMs: 60_000 });
      this.#log.warn(
        { engine: file, exitCode: result.exitCode, signal: result.signal, waitMs },
        'engine stopped; starting it again',
      );
      this.#timer = setTimeout(() => this.start(), waitMs);
    });
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#child?.kill('SIGTERM');
    await this.#child;
  }

  async #readLines(lines: AsyncIterable<unknown>, take: (line: string) => void): Promise<void> {
    try {
      for await (const line of lines) take(String(line));
    } catch {
      // The pipe broke because the process died; its exit is handled above.
    }
  }
}

type Child = ReturnType<typeof spawn>;

const spawn = (file: string, args: readonly string[], env: Record<string, string> = {}) =>
  execa(file, args, {
    // stdin stays open: our engines' stand-in exits when it closes, which it does however we die.
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
    buffer: false,
    reject: false,
    // Signals go to the whole group, so that runner processes die with it, also when we exit without close().
    killDescendants: true,
    forceKillAfterDelay: STOP_GRACE_MS,
    cleanup: true,
    env,
  });
