import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Program } from '../e2e/program.ts';
import { ChaosProxy } from './chaos-proxy.ts';

/** A Redis of the stage's own behind a chaos proxy, kept as the product keeps its private one (every write on disk before it counts). */
export class StageRedis {
  readonly proxy: ChaosProxy;
  readonly socket: string;
  #program: Program;
  readonly #settings: string;

  private constructor(options: {
    proxy: ChaosProxy;
    socket: string;
    settings: string;
    program: Program;
  }) {
    this.proxy = options.proxy;
    this.socket = options.socket;
    this.#settings = options.settings;
    this.#program = options.program;
  }

  static async start(folder: string): Promise<StageRedis> {
    const directory = join(folder, 'r');
    mkdirSync(directory, { recursive: true });
    const socket = join(directory, 'redis.sock');
    const settings = join(directory, 'redis.conf');
    const lines = ['port 0', `unixsocket ${socket}`, `dir ${directory}`, `logfile ${join(directory, 'redis.log')}`];
    const durable = ['appendonly yes', 'appendfsync always', 'save ""', 'maxmemory 1gb', 'maxmemory-policy noeviction'];
    writeFileSync(settings, `${[...lines, ...durable].join('\n')}\n`);
    const redis = new StageRedis({
      proxy: await ChaosProxy.start({ to: { path: socket } }),
      socket,
      settings,
      program: new Program('redis', [settings], {}, 'redis-server'),
    });
    await redis.answers();
    return redis;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.proxy.port}`;
  }

  get program(): Program {
    return this.#program;
  }

  /** Killed, and started again after so long, as a supervisor would. */
  async crash(awayMs: number): Promise<void> {
    this.#program.kill('SIGKILL');
    await this.#program.exited;
    await pause(awayMs);
    this.#program = new Program('redis', [this.#settings], {}, 'redis-server');
    await this.answers();
  }

  async answers(limitMs = 10_000): Promise<void> {
    const deadline = performance.now() + limitMs;
    for (;;) {
      const said = await redisCli(this.socket, 'ping').catch(() => '');
      if (said.trim() === 'PONG') return;
      if (performance.now() > deadline) throw new Error(`redis-server did not come up:\n${this.#program.text}`);
      await pause(20);
    }
  }

  async stop(): Promise<void> {
    this.#program.kill('SIGCONT');
    this.#program.kill('SIGKILL');
    await this.#program.exited;
    await this.proxy.close();
  }
}

export const redisCli = (socket: string, ...args: string[]): Promise<string> =>
  new Program('redis-cli', ['-s', socket, ...args], {}, 'redis-cli').output();
