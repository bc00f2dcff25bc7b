import { setPriority } from 'node:os';
import { join } from 'node:path';
import { Program } from '../e2e/program.ts';
import { ChaosProxy, type Link } from './chaos-proxy.ts';
import { withFakeCard } from './fake-card.ts';
import type { Engine } from './farm.ts';
import type { Bundles } from './household.ts';
import { readWire, type WireEvent } from './wire.ts';

/** Agents start on machines of their own in real life; here they must not take the CPU from what is measured. */
const STARTING_PRIORITY = 15;

export interface StageNodeOptions {
  readonly name: string;
  readonly engine: Engine;
  readonly folder: string;
  readonly bundles: Bundles;
  readonly compileCache: string;
  readonly coordinatorPort: number;
  /** So many models must be warm before the node counts as ready. */
  readonly warmModels: number;
  readonly seed: number;
  readonly env?: Readonly<Record<string, string>>;
  /** V8's, see agent-flags.ts. */
  readonly flags: readonly string[];
  /** `ollama`: adopted, with an NVIDIA card that the engine plays; see fake-card.ts. */
  readonly runtime: 'mock' | 'ollama';
  readonly heard: (node: StageNode, event: WireEvent) => void;
  readonly exited: (node: StageNode, how: string, isInjected: boolean) => void;
}

/**
 * One machine of the stage: an agent (a real process), its way to the coordinator through a chaos proxy that is read along with, and a
 * mock engine of the farm. Single writer of its state.
 *
 *   down ──start──► starting ──connected and has told its models──► ready ──connection gone──► starting | down
 */
export class StageNode {
  readonly name: string;
  readonly engine: Engine;
  readonly proxy: ChaosProxy;
  readonly #options: StageNodeOptions;
  readonly #waiting = new Set<() => void>();
  readonly #outcries: string[] = [];
  agent: Program | null = null;
  state: 'down' | 'starting' | 'ready' = 'down';
  readyAtMs = 0;
  #link: Link | null = null;
  #isKilled = false;

  private constructor(options: StageNodeOptions, proxy: ChaosProxy) {
    this.#options = options;
    this.name = options.name;
    this.engine = options.engine;
    this.proxy = proxy;
  }

  static async set(options: StageNodeOptions): Promise<StageNode> {
    let node: StageNode | null = null;
    const tap = readWire((event) => node?.hear(event));
    const to = { host: '127.0.0.1', port: options.coordinatorPort };
    node = new StageNode(options, await ChaosProxy.start({ to, seed: options.seed, tap }));
    return node;
  }

  /** The connection that stands now. */
  get link(): Link | null {
    return this.#link;
  }

  get outcries(): readonly string[] {
    return this.#outcries;
  }

  start(): void {
    const { folder, bundles, compileCache, env, flags } = this.#options;
    this.#isKilled = false;
    this.state = 'starting';
    const args = [
      'run',
      '--data-dir',
      join(folder, this.name),
      '--name',
      this.name,
      '--url',
      `http://127.0.0.1:${this.proxy.port}`,
    ];
    const engine =
      this.#options.runtime === 'mock'
        ? ['--runtime', 'mock', '--mock-url', this.engine.url]
        : ['--runtime', 'ollama', '--ollama-url', this.engine.url];
    const agent = new Program(`agent ${this.name}`, [...flags, bundles.agent, ...args, ...engine], {
      LAI_LOG_LEVEL: 'warn',
      LAI_LOCAL_PORT: '0',
      NODE_COMPILE_CACHE: compileCache,
      ...(this.#options.runtime === 'ollama' ? withFakeCard(join(folder, `card-${this.name}`), this.engine.url) : {}),
      ...env,
    });
    this.agent = agent;
    prioritise(agent, STARTING_PRIORITY);
    agent.onLine((line) => {
      if (/unhandled|uncaught|"level":60/i.test(line)) this.#outcries.push(line.slice(0, 300));
    });
    void agent.exited.then((how) => {
      if (this.agent === agent) this.state = 'down';
      this.#options.exited(this, String(how), this.#isKilled);
    });
  }

  kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): void {
    this.#isKilled = true;
    this.state = 'down';
    this.agent?.kill(signal);
  }

  /** Killed and waited for. */
  async end(): Promise<void> {
    const { agent } = this;
    this.kill();
    agent?.kill('SIGCONT');
    await agent?.exited;
    // Whoever still waits for it waits for nothing any more.
    for (const resolve of this.#waiting) resolve();
    await this.proxy.close();
  }

  /** Resolves when the node can be given work; at once when it can be already. */
  async ready(limitMs = 30_000): Promise<void> {
    if (this.state === 'ready') return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const fail = () =>
      reject(new Error(`${this.name} was not ready within ${limitMs} ms (${this.state}):\n${this.agent?.text.slice(-2_000)}`));
    const timer = setTimeout(fail, limitMs);
    this.#waiting.add(resolve);
    await promise.finally(() => {
      clearTimeout(timer);
      this.#waiting.delete(resolve);
    });
  }

  hear(event: WireEvent): void {
    if (event.kind === 'agent' && event.message.type === 'node.status' && this.#isServing(event.message.snapshot.models))
      this.#becomeReady(event.link);
    if (event.kind === 'closed' && event.link === this.#link) {
      this.#link = null;
      if (this.state === 'ready') this.state = 'starting';
    }
    this.#options.heard(this, event);
  }

  #isServing(models: readonly { readonly state: string }[]): boolean {
    return models.length > 0 && models.filter(({ state }) => state === 'warm').length >= this.#options.warmModels;
  }

  #becomeReady(link: Link): void {
    if (this.#isKilled || this.#link === link) return;
    this.#link = link;
    this.state = 'ready';
    this.readyAtMs = performance.now();
    if (this.agent) prioritise(this.agent, 0);
    for (const resolve of this.#waiting) resolve();
  }
}

/** Only root may take a lowered priority back; then everything runs alike. */
const prioritise = (program: Program, priority: number): void => {
  if (process.getuid?.() !== 0) return;
  try {
    setPriority(program.pid, priority);
  } catch {
    // it has ended already
  }
};
