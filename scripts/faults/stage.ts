import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { FleetStatus } from '../../shared/src/admin-api.ts';
import { freePort } from '../e2e/fleet.ts';
import { Program } from '../e2e/program.ts';
import { AGENT_FLAGS } from './agent-flags.ts';
import { type Ask, ask, type Told } from './asking.ts';
import { type EnginePlan, startFarm } from './farm.ts';
import type { History } from './history.ts';
import { type Household, moveIn, moveOut } from './household.ts';
import type { Random } from './random.ts';
import { StageNode } from './stage-node.ts';
import { redisCli, StageRedis } from './stage-redis.ts';
import type { WireEvent } from './wire.ts';

export const MODEL = 'story:1b';

export interface StageOptions {
  readonly nodes: number;
  /** In the mock engine's notation, for all nodes, or for each by its place. */
  readonly models?: string | ((index: number) => string);
  readonly tuning?: Readonly<Record<string, unknown>>;
  readonly vramGb?: (index: number) => number;
  /** What agents take the engines for; `ollama` also sees the engine's simulated memory as a card's. */
  readonly runtime?: 'mock' | 'ollama';
  readonly replicas?: number;
  /** Which replica a node's agent dials. */
  readonly replicaOf?: (index: number) => number;
  /** A Redis of our own behind a proxy, instead of the coordinator's private one. */
  readonly isRedisApart?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly agentEnv?: Readonly<Record<string, string>>;
  readonly agentFlags?: keyof typeof AGENT_FLAGS;
}

export interface Replica {
  readonly url: string;
  readonly env: Record<string, string>;
  program: Program;
  /** When it was last killed on purpose, and how often; clients of it are excused. */
  kills: number;
}

/** In the mock engine's notation. */
const warmIn = (models: string): string[] =>
  models.split(/[;\s]+/).flatMap((entry) => (/,warm(,|$)/.test(entry) ? (entry.split('=')[0] ?? []) : []));

const CLOSE_LIMIT_MS = 15_000;
/** Agents that start at the same time: each takes a core for a fifth of a second. */
const STARTS_AT_ONCE = 2;

/**
 * Real processes for one fault: coordinators, their Redis, agents behind chaos proxies, engines. Everything that the wire, the operating
 * system and the clients see goes into the history.
 */
export class Stage {
  readonly folder: string;
  readonly household: Household;
  readonly history: History;
  readonly random: Random;
  readonly nodes: StageNode[] = [];
  readonly replicas: Replica[] = [];
  readonly #listeners = new Set<(node: StageNode, event: WireEvent) => void>();
  readonly #lineListeners = new Set<(line: string, replica: Replica) => void>();
  readonly #startQueue: StageNode[] = [];
  #starting = 0;
  #farm: Program | null = null;
  redis: StageRedis | null = null;
  /** Those that are loaded from the start. */
  warmModels: readonly string[] = [];
  /** When a coordinator was last killed without a chance to clean up. */
  lastKillAtMs = Number.NEGATIVE_INFINITY;
  #isOver = false;

  private constructor(options: { household: Household; history: History; random: Random; folder: string }) {
    this.household = options.household;
    this.history = options.history;
    this.random = options.random;
    this.folder = options.folder;
  }

  static async open(around: { household: Household; history: History; random: Random }, options: StageOptions): Promise<Stage> {
    const stage = new Stage({ ...around, folder: moveIn(around.household, options.nodes) });
    process.once('exit', stage.#killAll);
    try {
      await stage.#build(options);
    } catch (error) {
      await stage.close();
      throw error;
    }
    return stage;
  }

  async #build(options: StageOptions): Promise<void> {
    if (options.isRedisApart) this.redis = await StageRedis.start(this.folder);
    for (let index = 0; index < (options.replicas ?? 1); index += 1) await this.#addReplica(index, options);
    const models = options.models ?? `${MODEL}=0.1GB,slots=4,tps=200,ctx=8192,caps=chat,warm`;
    const plans: EnginePlan[] = this.household.names.slice(0, options.nodes).map((name, index) => ({
      name,
      models: typeof models === 'string' ? models : models(index),
      vramGb: options.vramGb?.(index) ?? 8,
      dialect: options.runtime === 'ollama' ? 'ollama' : 'llama-server',
      tuning: { coldLoadMsPerGb: 0, prefillMs: 20, keepAliveMs: null, ...options.tuning },
    }));
    this.warmModels = [...new Set(plans.flatMap((plan) => warmIn(plan.models)))];
    const { program, engines } = await startFarm(plans);
    this.#farm = program;
    for (const [index, engine] of engines.entries()) {
      const replica = this.replicas[options.replicaOf?.(index) ?? 0];
      if (!replica) throw new Error(`no replica for node ${index}`);
      const node = await StageNode.set({
        name: engine.name,
        engine,
        folder: this.folder,
        bundles: this.household.bundles,
        compileCache: join(this.household.folder, 'compiled'),
        coordinatorPort: Number(new URL(replica.url).port),
        warmModels: warmIn(plans[index]?.models ?? '').length,
        seed: this.random.between(1, 2 ** 31),
        env: { ...options.agentEnv },
        flags: AGENT_FLAGS[options.agentFlags ?? 'small'],
        runtime: options.runtime ?? 'mock',
        heard: (heardOf, event) => this.#hear(heardOf, event),
        exited: (gone, how, isInjected) =>
          this.history.add({
            type: 'info',
            what: 'exit',
            program: `agent ${gone.name}`,
            how,
            isInjected: isInjected || this.#isOver,
          }),
      });
      this.nodes.push(node);
    }
    await Promise.all(this.nodes.map((node) => this.revive(node)));
  }

  async #addReplica(index: number, options: StageOptions): Promise<void> {
    const port = await freePort();
    const [first] = this.replicas;
    const redis = this.redis?.url ?? (first ? `unix://${this.redisSocket}` : '');
    const env = {
      LAI_DATA_DIR: join(this.folder, 'c'),
      LAI_PORT: String(port),
      LAI_LOG_LEVEL: 'info',
      LAI_REDIS_URL: redis,
      NODE_COMPILE_CACHE: join(this.household.folder, 'compiled'),
      ...options.env,
    };
    const replica: Replica = { url: `http://127.0.0.1:${port}`, env, program: this.#serve(env, index), kills: 0 };
    this.replicas.push(replica);
    this.#watch(replica);
    await replica.program.until(/coordinator is listening/);
  }

  #serve(env: Record<string, string>, index: number): Program {
    return new Program(`coordinator ${index + 1}`, ['--max-semi-space-size=4', this.household.bundles.lai, 'serve'], env);
  }

  #watch(replica: Replica): void {
    const { program } = replica;
    const { kills } = replica;
    program.onLine((line) => {
      if (/unhandled|uncaught|"level":60/i.test(line))
        this.history.add({ type: 'info', what: 'outcry', program: program.name, line: line.slice(0, 300) });
      for (const listener of this.#lineListeners) listener(line, replica);
    });
    void program.exited.then((how) =>
      this.history.add({
        type: 'info',
        what: 'exit',
        program: program.name,
        how: String(how),
        isInjected: replica.kills > kills || this.#isOver,
      }),
    );
  }

  get url(): string {
    return this.replicas[0]?.url ?? '';
  }

  get redisSocket(): string {
    return this.redis?.socket ?? join(this.folder, 'c', 'redis', 'redis.sock');
  }

  node(name: string): StageNode {
    const node = this.nodes.find((candidate) => candidate.name === name);
    if (!node) throw new Error(`no node ${name}`);
    return node;
  }

  onWire(listener: (node: StageNode, event: WireEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Lines of the coordinators' logs. */
  onLine(listener: (line: string, replica: Replica) => void): () => void {
    this.#lineListeners.add(listener);
    return () => this.#lineListeners.delete(listener);
  }

  #hear(node: StageNode, event: WireEvent): void {
    const link = `${node.name}/${event.link.id}`;
    if (event.kind === 'dispatch' && event.marker !== null)
      this.history.add(
        { type: 'info', what: 'dispatch', request: event.marker, attempt: event.attemptId, node: node.name, link },
        event.atMs,
      );
    if (event.kind === 'closed')
      this.history.add({ type: 'info', what: 'cut', node: node.name, link, why: `closed by ${event.by}` }, event.atMs);
    for (const listener of this.#listeners) listener(node, event);
  }

  /** Starts the node's agent, in turn with others; resolves when it can be given work. */
  async revive(node: StageNode, limitMs = 60_000): Promise<void> {
    this.#startQueue.push(node);
    this.#startNext();
    await node.ready(limitMs);
  }

  #startNext(): void {
    while (this.#starting < STARTS_AT_ONCE && !this.#isOver) {
      const node = this.#startQueue.shift();
      if (!node) return;
      this.#starting += 1;
      node.start();
      // A start that goes wrong is told by whoever waits for it; the next in line need not wait for that.
      void node
        .ready(10_000)
        .catch(() => {})
        .finally(() => {
          this.#starting -= 1;
          this.#startNext();
        });
    }
  }

  ask(request: Omit<Ask, 'url' | 'key' | 'model'> & Partial<Pick<Ask, 'url' | 'model'>>): Promise<Told> {
    return ask(this.history, { url: this.url, key: this.household.key, model: MODEL, ...request });
  }

  async status(replica = this.replicas[0]): Promise<FleetStatus> {
    const response = await fetch(`${replica?.url}/api/v1/status`, { headers: { authorization: `Bearer ${this.household.key}` } });
    return (await response.json()) as FleetStatus;
  }

  /** Waits for the fleet to look so; throws with what it looked like when it does not. */
  async until(what: string, isSo: (status: FleetStatus) => boolean, limitMs = 20_000, replica = this.replicas[0]): Promise<void> {
    const deadline = performance.now() + limitMs;
    for (;;) {
      const status = await this.status(replica).catch(() => null);
      if (status && isSo(status)) return;
      if (performance.now() > deadline) throw new Error(`after ${limitMs} ms not yet: ${what}`);
      await pause(25);
    }
  }

  killReplica(replica: Replica, signal: 'SIGKILL' | 'SIGTERM'): void {
    replica.kills += 1;
    if (signal === 'SIGKILL') this.lastKillAtMs = performance.now();
    replica.program.kill(signal);
  }

  async restartReplica(replica: Replica): Promise<void> {
    await replica.program.exited;
    replica.program = this.#serve(replica.env, this.replicas.indexOf(replica));
    this.#watch(replica);
    await replica.program.until(/coordinator is listening/);
  }

  readonly #killAll = (): void => {
    for (const node of this.nodes) node.kill();
    for (const { program } of this.replicas) program.kill('SIGKILL');
    this.#farm?.kill('SIGKILL');
    this.redis?.program.kill('SIGKILL');
    moveOut(this.folder);
  };

  async close(): Promise<void> {
    this.#isOver = true;
    process.off('exit', this.#killAll);
    await Promise.all(this.nodes.map((node) => node.end()));
    // The first one last: its private Redis is everybody's.
    for (const { program } of this.replicas.toReversed()) {
      program.kill('SIGCONT');
      program.kill('SIGTERM');
      const force = setTimeout(() => program.kill('SIGKILL'), CLOSE_LIMIT_MS);
      await program.exited;
      clearTimeout(force);
    }
    // A coordinator that had to be killed leaves its private one behind.
    if (!this.redis) await redisCli(this.redisSocket, 'shutdown', 'nosave').catch(() => {});
    await this.redis?.stop();
    this.#farm?.kill('SIGKILL');
    await this.#farm?.exited;
    for (const { program } of this.replicas) this.history.keepLog(program.name, program.text);
    moveOut(this.folder);
  }
}
