import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { FleetStatus } from '../../shared/src/admin-api.ts';
import { Program } from './program.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const LAI = join(ROOT, 'coordinator', 'dist', 'lai.js');
const AGENT = join(ROOT, 'agent', 'dist', 'lai-agent.js');
const MOCK_ENGINE = join(ROOT, 'agent', 'dist', 'lai-mock-engine.js');

export interface NodeSpec {
  readonly name: string;
  /** In the mock engine's notation; see its README. */
  readonly models: string;
  readonly vramGb?: number;
  readonly tuning?: Record<string, unknown>;
  /** Arguments of `lai-agent run` instead of a mock engine, for real runtimes. */
  readonly agentArgs?: readonly string[];
  readonly agentEnv?: Record<string, string>;
}

/** What a mock engine says of itself; only the fields that tests read. */
export interface EngineState {
  readonly requests: {
    readonly seen: number;
    readonly active: number;
    readonly done: number;
    readonly aborted: number;
    readonly failed: number;
  };
  readonly tokens: { readonly generated: number; readonly afterAbort: number };
  readonly models: readonly {
    readonly name: string;
    readonly phase: string;
    readonly slots: number;
    readonly slotsInUse: number;
    readonly maxSlotsInUse: number;
    readonly queueLength: number;
    readonly loads: { readonly started: number; readonly finished: number };
  }[];
}

export interface FleetNode {
  readonly name: string;
  readonly agent: Program;
  readonly engine: Program | null;
  readonly engineUrl: string;
  engineState(): Promise<EngineState>;
  control(path: string, body: unknown): Promise<void>;
}

/** A coordinator, its Redis, agents and engines as real processes, built as users run them, in a directory of their own. */
export class Fleet {
  readonly directory: string;
  readonly dataDir: string;
  readonly url: string;
  readonly key: string;
  readonly env: Record<string, string>;
  coordinator: Program;
  readonly nodes: FleetNode[] = [];

  private constructor(options: {
    directory: string;
    url: string;
    key: string;
    coordinator: Program;
    env: Record<string, string>;
  }) {
    this.directory = options.directory;
    this.dataDir = options.env['LAI_DATA_DIR'] ?? join(options.directory, 'coordinator');
    this.url = options.url;
    this.key = options.key;
    this.coordinator = options.coordinator;
    this.env = options.env;
  }

  static async start(options: { nodes: readonly NodeSpec[]; env?: Record<string, string> }): Promise<Fleet> {
    // Short, because a unix socket lives in it.
    const directory = mkdtempSync(join(tmpdir(), 'lai-'));
    const dataDir = join(directory, 'coordinator');
    mkdirSync(dataDir);
    const port = await freePort();
    const env = { LAI_DATA_DIR: dataDir, LAI_PORT: String(port), LAI_LOG_LEVEL: 'info', ...options.env };
    const url = `http://127.0.0.1:${port}`;
    const coordinator = startCoordinator(env);
    await coordinator.until(/coordinator is listening/);
    const key = (await lai(env, 'keys', 'create', 'tests', '--admin')).split('\n')[0] ?? '';
    const fleet = new Fleet({ directory, url, key, coordinator, env });
    try {
      await Promise.all(options.nodes.map((spec) => fleet.addNode(spec)));
      await fleet.until(
        'every node has told its models',
        (status) =>
          status.nodes.filter((node) => node.liveness === 'alive' && node.snapshot?.models.length).length >= options.nodes.length,
      );
    } catch (error) {
      await fleet.stop();
      throw error;
    }
    return fleet;
  }

  /** Another coordinator on the Redis and the database of `main`, with nodes of its own. */
  static async startReplica(main: Fleet, options: { nodes: readonly NodeSpec[]; redisUrl?: string }): Promise<Fleet> {
    const directory = mkdtempSync(join(tmpdir(), 'lai-'));
    const port = await freePort();
    const redis = options.redisUrl ?? `unix://${join(main.dataDir, 'redis', 'redis.sock')}`;
    const env = { ...main.env, LAI_PORT: String(port), LAI_REDIS_URL: redis };
    const coordinator = startCoordinator(env);
    await coordinator.until(/coordinator is listening/);
    const replica = new Fleet({ directory, url: `http://127.0.0.1:${port}`, key: main.key, coordinator, env });
    await Promise.all(options.nodes.map((spec) => replica.addNode(spec)));
    return replica;
  }

  async addNode(spec: NodeSpec): Promise<FleetNode> {
    const engine = spec.agentArgs ? null : startEngine(spec);
    const engineUrl = engine ? (JSON.parse(await engine.until(/^\{"listening"/)) as { listening: string }).listening : '';
    const dataDir = join(this.directory, spec.name);
    const token = (await lai(this.env, 'tokens', 'create')).trim();
    await new Program('join', [AGENT, 'join', '--url', this.url, '--name', spec.name, '--data-dir', dataDir], {
      LAI_TOKEN: token,
    }).exited;
    const agentArgs = spec.agentArgs ?? ['--runtime', 'mock', '--mock-url', engineUrl];
    const node: FleetNode = {
      name: spec.name,
      agent: new Program(`agent ${spec.name}`, [AGENT, 'run', '--data-dir', dataDir, '--name', spec.name, ...agentArgs], {
        LAI_LOG_LEVEL: 'info',
        ...spec.agentEnv,
      }),
      engine,
      engineUrl,
      engineState: async () => (await (await fetch(`${engineUrl}/_mock/state`)).json()) as EngineState,
      control: async (path, body) => {
        const response = await fetch(`${engineUrl}/_mock/${path}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        });
        if (!response.ok) throw new Error(`the mock engine refused ${path}: ${await response.text()}`);
      },
    };
    this.nodes.push(node);
    return node;
  }

  node(name: string): FleetNode {
    const node = this.nodes.find((candidate) => candidate.name === name);
    if (!node) throw new Error(`no node ${name}`);
    return node;
  }

  /** Starts the node's agent again after it was killed. */
  async restartAgent(name: string): Promise<void> {
    const node = this.node(name);
    const agent = node.agent.again();
    this.nodes.splice(this.nodes.indexOf(node), 1, { ...node, agent });
  }

  /** Starts the coordinator again after it was stopped or killed. */
  async restartCoordinator(): Promise<void> {
    this.coordinator = startCoordinator(this.env);
    await this.coordinator.until(/coordinator is listening/);
  }

  async chat(
    body: Record<string, unknown>,
    init: { headers?: Record<string, string>; signal?: AbortSignal } = {},
  ): Promise<Response> {
    return fetch(`${this.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.key}`, 'content-type': 'application/json', ...init.headers },
      body: JSON.stringify(body),
      ...(init.signal ? { signal: init.signal } : {}),
    });
  }

  async status(): Promise<FleetStatus> {
    const response = await fetch(`${this.url}/api/v1/status`, { headers: { authorization: `Bearer ${this.key}` } }).catch(
      (error: unknown) => {
        throw new Error(`the coordinator does not answer; it said:\n${this.coordinator.text.slice(-3_000)}`, { cause: error });
      },
    );
    return (await response.json()) as FleetStatus;
  }

  /** Waits for the fleet to look so; says what it looked like when it does not. */
  async until(what: string, isSo: (status: FleetStatus) => boolean, limitMs = 20_000): Promise<FleetStatus> {
    const deadline = performance.now() + limitMs;
    for (;;) {
      const status = await this.status();
      if (isSo(status)) return status;
      if (performance.now() > deadline)
        throw new Error(`after ${limitMs} ms not yet: ${what}\n${JSON.stringify(status, null, 1)}`);
      await pause(25);
    }
  }

  /** This fleet's nodes have the model loaded, so that a test does not measure a cold load. */
  async warmUp(model: string): Promise<void> {
    for (const node of this.nodes) {
      await fetch(`${node.engineUrl}/models/load`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model }),
      });
    }
    await this.until(`${model} is warm everywhere`, (status) =>
      this.nodes.every(({ name }) =>
        status.nodes.some(
          (node) =>
            node.snapshot?.name === name && node.snapshot.models.some((entry) => entry.id === model && entry.state === 'warm'),
        ),
      ),
    );
  }

  /** The pid of the private Redis. */
  redisCli(...args: string[]): Promise<string> {
    return new Program('redis-cli', ['-s', join(this.dataDir, 'redis', 'redis.sock'), ...args], {}, 'redis-cli').output();
  }

  /** One `lai` command against this coordinator; fails as the command does. */
  lai(...args: string[]): Promise<string> {
    return lai({ ...this.env, LAI_API_KEY: this.key, NO_COLOR: '1' }, ...args);
  }

  async stop(): Promise<void> {
    for (const { agent } of this.nodes) agent.kill('SIGKILL');
    for (const { engine } of this.nodes) engine?.kill('SIGKILL');
    this.coordinator.kill('SIGTERM');
    await Promise.all(
      [this.coordinator, ...this.nodes.flatMap(({ agent, engine }) => (engine ? [agent, engine] : [agent]))].map(
        (program) => program.exited,
      ),
    );
    rmSync(this.directory, { recursive: true, force: true });
  }
}

const startCoordinator = (env: Record<string, string>): Program => new Program('coordinator', [LAI, 'serve'], env);

const startEngine = (spec: NodeSpec): Program =>
  new Program(`engine ${spec.name}`, [
    MOCK_ENGINE,
    ...['--dialect', 'llama-server', '--name', spec.name, '--vram-gb', String(spec.vramGb ?? 8), '--models', spec.models],
    ...['--tuning', JSON.stringify(spec.tuning ?? {}), '--allow-faults'],
  ]);

/** One `lai` command on the fleet's data. */
const lai = (env: Record<string, string>, ...args: string[]): Promise<string> => new Program('lai', [LAI, ...args], env).output();

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => (address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
