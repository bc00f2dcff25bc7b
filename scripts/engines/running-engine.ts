/** Real engines as processes of a test: started on a free port, killed as a whole, their runners found and killed alone. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { env } from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';

const startLimitMs = 40_000;

export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Processes whose parent is `pid`. Linux only, as these engines are in tests. */
export function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        // `pid (name) state ppid …`, and a name may hold anything, brackets and spaces too.
        return (
          Number(
            readFileSync(`/proc/${name}/stat`, 'utf8')
              .replace(/^.*\) \S /s, '')
              .split(' ')[0],
          ) === pid
        );
      } catch {
        return false;
      }
    })
    .map(Number);
}

export class RunningEngine {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;

  private constructor(url: string, child: ChildProcess) {
    this.url = url;
    this.#child = child;
    this.#exited = new Promise((resolve) => child.once('exit', resolve));
  }

  /** Resolves when `path` answers 200; fails with what the program said. `{port}` in arguments and variables is filled in. */
  static async start(options: {
    program: string;
    args: readonly string[];
    path: string;
    env?: Record<string, string>;
    /** How long it may take to become ready. */
    limitMs?: number;
  }): Promise<RunningEngine> {
    const port = await freePort();
    const fill = (text: string) => text.replaceAll('{port}', String(port));
    let log = '';
    const child = spawn(options.program, options.args.map(fill), {
      env: { ...env, ...Object.fromEntries(Object.entries(options.env ?? {}).map(([name, value]) => [name, fill(value)])) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => (log = (log + text).slice(-8_000)));
    const engine = new RunningEngine(`http://127.0.0.1:${port}`, child);
    const deadlineMs = performance.now() + (options.limitMs ?? startLimitMs);
    while (performance.now() < deadlineMs && child.exitCode === null) {
      const answer = await fetch(engine.url + options.path).catch(() => undefined);
      if (answer?.ok) return engine;
      await pause(20);
    }
    await engine.kill();
    throw new Error(`${options.program} did not become ready:\n${log}`);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Kills the processes that hold the models, and not the engine itself. */
  killRunners(): void {
    killAll(childrenOf(this.pid));
  }

  /** Ends the engine and its runners; those of an Ollama that was killed would live on. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const runners = childrenOf(this.pid);
    this.#child.kill('SIGKILL');
    await this.#exited;
    killAll(runners);
  }
}

const killAll = (pids: readonly number[]): void => {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It is gone already.
    }
  }
};
