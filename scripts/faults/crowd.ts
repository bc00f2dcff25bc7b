import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Program } from '../e2e/program.ts';
import { ChaosProxy } from './chaos-proxy.ts';
import type { Replica, Stage } from './stage.ts';

/** Many nodes of one process (light-agents.ts) that have joined a stage, behind a chaos proxy of their own, to be counted in and out. */
export class Crowd {
  readonly proxy: ChaosProxy;
  readonly #program: Program;
  /** `performance.now()` of each time that all were in. */
  readonly #allInAtMs: number[] = [];
  #end: unknown = null;

  private constructor(proxy: ChaosProxy, program: Program) {
    this.proxy = proxy;
    this.#program = program;
    program.onLine((line) => {
      const { what, atMs } = JSON.parse(line) as { what: string; atMs: number };
      if (what === 'all') this.#allInAtMs.push(atMs - performance.timeOrigin);
    });
    void program.exited.then((how) => {
      this.#end = how;
    });
  }

  /** Resolves when all are connected. */
  static async join(
    stage: Stage,
    { replica, count, prefix }: { replica: Replica; count: number; prefix: string },
  ): Promise<Crowd> {
    const proxy = await ChaosProxy.start({ to: { host: '127.0.0.1', port: Number(new URL(replica.url).port) } });
    const program = new Program('light agents', [
      join(import.meta.dirname, 'light-agents.ts'),
      ...[join(stage.folder, 'c'), `http://127.0.0.1:${proxy.port}`, String(count), prefix],
    ]);
    const crowd = new Crowd(proxy, program);
    try {
      await crowd.allIn(0);
      return crowd;
    } catch (error) {
      await crowd.leave();
      throw error;
    }
  }

  /** When (`performance.now()`) all were in for the first time after this moment. */
  async allIn(afterMs: number, limitMs = 90_000): Promise<number> {
    const deadline = performance.now() + limitMs;
    for (;;) {
      const atMs = this.#allInAtMs.find((candidate) => candidate > afterMs);
      if (atMs !== undefined) return atMs;
      if (this.#end !== null) throw new Error(`the light agents ended (${this.#end}):\n${this.#program.text}`);
      if (performance.now() > deadline) throw new Error(`the light agents were not all in within ${limitMs} ms`);
      await pause(5);
    }
  }

  async leave(): Promise<void> {
    this.#program.kill('SIGKILL');
    await this.#program.exited;
    await this.proxy.close();
  }
}
