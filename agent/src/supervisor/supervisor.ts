import { join } from 'node:path';
import type { EngineObstacle, RuntimeReport } from '@lai/shared/node';
import type { Logger } from 'pino';
import type { EngineHandle, Runtime } from '../runtimes/runtime.ts';
import { Engine, type EngineEvents, type EngineSpec } from './engine.ts';
import { EngineLog } from './engine-log.ts';
import type { LifecycleLimits } from './lifecycle.ts';
import { PidFiles } from './orphans.ts';
import { processTree, readProcessTable } from './process-table.ts';

/** A place where an engine may be found: a port somebody else may serve on, a program that we may start. */
export interface EngineSource {
  readonly name: string;
  /** It is not needed while one of these has an engine that is there, and makes room when one comes. */
  readonly yieldsTo: readonly string[];
  /** Null: not now; asked again later. Throws with a sentence for the user when what was asked for cannot be. */
  find(handle: EngineHandle): Promise<Found | null>;
}

/** An engine to keep, or what stands in the way of one that is on this machine. */
export type Found = EngineSpec | { readonly obstacle: EngineObstacle };

const SEEK_EVERY_MS = 5_000;

/**
 * All engines of this machine. Single writer of the set; each engine writes its own life.
 *
 *   source: empty ──find──► engine (adopted or started) ──a better source has one──► retired: stopped and forgotten ──► empty
 *
 * Sources are asked in order and again every few seconds, so an Ollama that its owner starts later is adopted then. A simulated engine
 * stands in only on a machine that has shown no real one since we started: answers must not turn into pretence because Ollama restarts.
 */
export class Supervisor {
  readonly #sources: readonly EngineSource[];
  readonly #engines = new Map<string, Engine>();
  /** By source. */
  readonly #obstacles = new Map<string, EngineObstacle>();
  readonly #events: EngineEvents;
  readonly #log: Logger;
  readonly #folder: string;
  readonly #pids: PidFiles;
  readonly #limits: LifecycleLimits | undefined;
  #seekTimer: NodeJS.Timeout | undefined;
  #hasSeenReal = false;
  #parkedFor: string | null = null;
  #isClosed = false;

  constructor(options: {
    sources: readonly EngineSource[];
    /** Pid files and logs go below it. */
    dataDir: string;
    events: EngineEvents;
    log: Logger;
    limits?: LifecycleLimits;
  }) {
    this.#sources = options.sources;
    this.#events = options.events;
    this.#log = options.log;
    this.#folder = options.dataDir;
    this.#pids = new PidFiles(join(options.dataDir, 'run'));
    this.#limits = options.limits;
  }

  /** Resolves when every source was asked once and what was found has answered, or not, once. */
  async start(): Promise<void> {
    await this.#pids.sweep(this.#log);
    await this.#seek();
    await Promise.all(this.engines.filter((engine) => !engine.isOwned).map((engine) => engine.looked()));
  }

  get engines(): readonly Engine[] {
    return [...this.#engines.values()];
  }

  /** Where the simulated GPU is, when the only engine is a simulated one. */
  get mockUrl(): string | null {
    return this.engines.find((engine) => engine.spec.mockUrl !== undefined)?.spec.mockUrl ?? null;
  }

  reports(): RuntimeReport[] {
    return this.engines.map((engine) => engine.report());
  }

  /** What keeps engines of this machine from being used; of interest while none is. */
  get obstacles(): readonly EngineObstacle[] {
    return [...this.#obstacles.values()];
  }

  of(runtime: Runtime): Engine | undefined {
    return this.engines.find((engine) => engine.spec.runtime === runtime);
  }

  /** Processes of engines that we own, runners included. Theirs is no game, and their memory is ours to free. */
  async ownPids(): Promise<ReadonlySet<number>> {
    const roots = this.engines.flatMap((engine) => engine.pid ?? []);
    if (roots.length === 0) return new Set();
    const table = await readProcessTable();
    return new Set(roots.flatMap((pid) => [...processTree(table, pid)]));
  }

  // Parking: the machine's owner needs everything the engines hold.

  get canPark(): boolean {
    return this.engines.some((engine) => engine.isOwned && engine.isAlive());
  }

  get isParked(): boolean {
    return this.#parkedFor !== null && !this.engines.some((engine) => engine.isOwned && engine.isAlive());
  }

  /** Stops every engine of our own, and keeps it stopped until `unpark`. */
  async park(reason: string): Promise<void> {
    this.#parkedFor = reason;
    await Promise.all(this.engines.filter((engine) => engine.isOwned).map((engine) => engine.stop(reason)));
  }

  unpark(): void {
    if (this.#parkedFor === null) return;
    this.#parkedFor = null;
    for (const engine of this.engines) if (engine.isOwned) engine.start();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#seekTimer);
    await Promise.all(this.engines.map((engine) => engine.close()));
  }

  /** The first real engine has answered: whoever stood in makes room now. */
  #seekSoon(): void {
    if (this.#isClosed || this.#seekTimer === undefined) return;
    clearTimeout(this.#seekTimer);
    this.#seekTimer = setTimeout(() => void this.#seek(), 0);
  }

  async #seek(): Promise<void> {
    this.#seekTimer = undefined;
    for (const source of this.#sources) {
      if (this.#isClosed) return;
      const existing = this.#engines.get(source.name);
      const isNeeded = !source.yieldsTo.some((name) => this.#isThere(name));
      if (existing && !isNeeded && this.#events.load(existing.spec.runtime).inFlight === 0)
        await this.#retire(source.name, existing);
      else if (!existing && isNeeded && this.#parkedFor === null) await this.#find(source);
    }
    if (!this.#isClosed) this.#seekTimer = setTimeout(() => void this.#seek(), SEEK_EVERY_MS);
  }

  async #find(source: EngineSource): Promise<void> {
    let engine: Engine | undefined;
    const spec = await source.find({
      isAlive: () => engine?.isAlive() ?? false,
      stop: async () => engine?.stop(),
      start: () => engine?.start(),
      listen: () => engine?.listen() ?? (() => []),
    });
    const obstacle = spec !== null && 'obstacle' in spec ? spec.obstacle : null;
    this.#noteObstacle(source.name, obstacle);
    if (spec === null || 'obstacle' in spec || this.#isClosed) return;
    if (spec.isStandIn && this.#hasSeenReal) return;
    engine = new Engine({
      spec,
      events: {
        ...this.#events,
        changed: () => {
          if (engine?.life.phase === 'ready' && !spec.isStandIn && !this.#hasSeenReal) {
            this.#hasSeenReal = true;
            this.#seekSoon();
          }
          this.#events.changed();
        },
      },
      log: this.#log,
      output: new EngineLog(join(this.#folder, 'logs', `${spec.name}.log`)),
      pids: this.#pids,
      ...(this.#limits ? { limits: this.#limits } : {}),
    });
    this.#engines.set(source.name, engine);
    this.#log.info({ engine: spec.name }, spec.sentence);
    engine.start();
    this.#events.changed();
  }

  #noteObstacle(source: string, obstacle: EngineObstacle | null): void {
    const before = this.#obstacles.get(source);
    if (JSON.stringify(before ?? null) === JSON.stringify(obstacle)) return;
    if (obstacle === null) this.#obstacles.delete(source);
    else this.#obstacles.set(source, obstacle);
    if (obstacle) this.#log.info({ ...obstacle }, 'an engine of this machine cannot be used');
    this.#events.changed();
  }

  async #retire(name: string, engine: Engine): Promise<void> {
    this.#log.info({ engine: engine.spec.name }, 'another engine serves this machine now; letting this one go');
    this.#engines.delete(name);
    this.#events.models(engine.spec.runtime, []);
    this.#events.lost(engine.spec.runtime);
    this.#events.changed();
    // What it answered for under the same name the others have, too, and nobody has looked at it there.
    for (const other of this.engines) other.look();
    await engine.close();
  }

  #isThere(name: string): boolean {
    const phase = this.#engines.get(name)?.life.phase;
    return phase !== undefined && phase !== 'absent' && phase !== 'away';
  }
}
