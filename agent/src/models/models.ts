import { sameModel } from '@lai/shared/model-name';
import { estimatedNeedBytes } from '@lai/shared/model-need';
import type { LoadedModel, ModelFailure } from '@lai/shared/node';
import type { Logger } from 'pino';
import { type Runtime, RuntimeError, type RuntimeModel } from '../runtimes/runtime.ts';
import { Grace } from './grace.ts';
import { isIdleTooLong } from './idle-unload.ts';
import { type ModelEvent, type ModelStatus, nextModelStatus, unknownModel } from './model-states.ts';
import { toSendAway } from './room.ts';

/** Ollama's own limit is a stall of 5 min; a load that takes longer than this is not coming. */
const LOAD_LIMIT_MS = 10 * 60_000;
const UNLOAD_LIMIT_MS = 30_000;
const CALL_LIMIT_MS = 10_000;
/** A pinned model that could not be loaded is tried again after this. */
const PINNED_RETRY_MS = 5 * 60_000;

interface Entry {
  readonly runtime: Runtime;
  model: RuntimeModel;
  /** All entries that are the same weights under several names, itself included, in the order in which they were first heard of. */
  copies: readonly Entry[];
  status: ModelStatus;
  inFlight: number;
  /** See `IdleFacts`. */
  isOurs: boolean;
  lastUsedAtMs: number;
}

interface Load {
  readonly done: Promise<void>;
  readonly abort: AbortController;
}

/** A place on a model that must be given back exactly once. */
export interface Slot {
  readonly runtime: Runtime;
  readonly modelId: string;
  release(): void;
}

export type SlotRefusal = 'model_not_found' | 'node_busy';

/**
 * Every model of every runtime on this node, what state we believe it is in and how many attempts run on it. Single writer of all
 * three. Loads are single-flight per model and nobody's disconnect cancels them; an unload lets what runs finish for as long as it is
 * told to; idle models go, pinned ones come back.
 */
export class Models {
  readonly #entries = new Map<string, Entry>();
  readonly #runtimes = new Set<Runtime>();
  readonly #loads = new Map<string, Load>();
  readonly #unloads = new Map<string, Promise<void>>();
  /** Of the unloads that wait for something to finish. */
  readonly #graces = new Map<string, Grace>();
  readonly #onChange: () => void;
  readonly #interrupt: (modelId: string) => void;
  readonly #freeBytes: () => number | null;
  readonly #now: () => number;
  readonly #log: Logger;
  readonly #maxConcurrent: number;
  readonly #idleUnloadMs: number | null;
  #pinned: readonly string[] = [];

  constructor(options: {
    maxConcurrent: number;
    /** Null: idle models stay. */
    idleUnloadMs?: number | null;
    onChange: () => void;
    /** Ends the attempts that run on a model, with an honest reason; asked when their time to finish is over. */
    interrupt?: (modelId: string) => void;
    /** Memory that loads may take, as the sensors see it; null when the machine cannot tell. */
    freeBytes?: () => number | null;
    now?: () => number;
    log: Logger;
  }) {
    this.#maxConcurrent = options.maxConcurrent;
    this.#idleUnloadMs = options.idleUnloadMs ?? null;
    this.#onChange = options.onChange;
    this.#interrupt = options.interrupt ?? (() => {});
    this.#freeBytes = options.freeBytes ?? (() => null);
    this.#now = options.now ?? (() => performance.now());
    this.#log = options.log;
  }

  get maxConcurrent(): number {
    return this.#maxConcurrent;
  }

  get inFlight(): number {
    return this.#all().reduce((sum, entry) => sum + entry.inFlight, 0);
  }

  /** Those that answer, in the order in which they were first heard of. */
  runtimes(): readonly Runtime[] {
    return [...this.#runtimes];
  }

  report(): LoadedModel[] {
    return this.#all().map(({ runtime, model, status, copies }) => ({
      id: model.id,
      runtime: runtime.kind,
      state: status.state,
      capabilities: [...model.capabilities],
      contextLength: model.contextLength,
      sizeBytes: model.sizeBytes,
      contextBytes: model.contextBytes ?? null,
      vramBytes: model.vramBytes,
      slots: model.slots,
      inFlight: inFlightOf(copies),
      isPinned: this.#isPinned(model.id),
      ...(copies.length > 1 ? { sharedAs: copies[0]?.model.id ?? model.id } : {}),
      expiresAtMs: model.expiresAtMs,
      failure: status.failure,
    }));
  }

  /** Takes what a runtime just said about its models; models it no longer has are forgotten. */
  observe(runtime: Runtime, models: readonly RuntimeModel[]): void {
    const before = this.#fingerprint();
    const listed = new Set(models.map(({ id }) => id));
    this.#runtimes.add(runtime);
    for (const model of models) {
      const entry = this.#entries.get(model.id);
      if (entry && entry.runtime !== runtime) continue; // the first runtime that has a model of this name serves it
      // The engine's own timer was wound up by somebody: it is in use, if not by us.
      if (entry && entry.model.expiresAtMs !== model.expiresAtMs) entry.lastUsedAtMs = this.#now();
      if (entry) entry.model = model;
      else {
        const fresh: Entry = {
          ...{ runtime, model, copies: [], status: unknownModel, inFlight: 0, isOurs: false },
          lastUsedAtMs: this.#now(),
        };
        fresh.copies = [fresh];
        this.#entries.set(model.id, fresh);
      }
    }
    for (const [id, entry] of this.#entries) {
      if (entry.runtime === runtime && entry.inFlight === 0 && !listed.has(id)) this.#entries.delete(id);
    }
    this.#group();
    for (const { id, isLoaded, isLoading } of models) {
      const entry = this.#entries.get(id);
      const runtimeSays = isLoaded ? 'loaded' : isLoading ? 'loading' : 'unloaded';
      if (entry?.runtime === runtime) entry.status = nextModelStatus(entry.status, { kind: 'observed', runtimeSays });
    }
    if (this.#fingerprint() !== before) this.#onChange();
  }

  /** The runtime does not answer: nothing of it is warm any more. */
  lose(runtime: Runtime): void {
    let isChanged = false;
    this.#runtimes.delete(runtime);
    for (const entry of this.#all()) {
      if (entry.runtime !== runtime || entry.status.state === 'cold' || this.#loads.has(keyOf(entry))) continue;
      entry.status = unknownModel;
      isChanged = true;
    }
    if (isChanged) this.#onChange();
  }

  /** What should always be in memory: never unloaded for being idle, and loaded by `tick` when it is not. */
  pin(models: readonly string[]): void {
    const before = this.#all().filter(({ model }) => this.#isPinned(model.id));
    this.#pinned = [...models];
    const after = this.#all().filter(({ model }) => this.#isPinned(model.id));
    const changed = [...before.filter((entry) => !after.includes(entry)), ...after.filter((entry) => !before.includes(entry))];
    for (const entry of changed) if (entry.status.state === 'warm') this.#keep(entry);
    if (changed.length > 0) this.#onChange();
  }

  /** To be called every few seconds: unloads what was idle for too long, loads what is pinned (when the node may load at all). */
  tick({ mayLoad }: { mayLoad: boolean }): void {
    const nowMs = this.#now();
    for (const entry of this.#all()) {
      const { model, runtime, status, copies } = entry;
      const isPinned = this.#isPinned(model.id);
      const lastUsedAtMs = lastUseOf(copies);
      const facts = {
        ...{ state: status.state, inFlight: inFlightOf(copies), isPinned: this.#isAnyPinned(copies), lastUsedAtMs },
        // What has no slots is only in memory; its engine's own timer lets it go.
        canUnload: runtime.abilities.unload !== 'no' && model.slots > 0,
        isOurs: this.#isOurs(entry),
      };
      if (isIdleTooLong(facts, nowMs, this.#idleUnloadMs)) {
        this.#log.info({ model: model.id, idleMs: Math.round(nowMs - lastUsedAtMs) }, 'unloading an idle model');
        this.unload(model.id).catch((error: unknown) => this.#log.warn({ model: model.id, err: error }, 'idle unload failed'));
      }
      const failedAtMs = status.state === 'failed' ? (status.failure?.atMs ?? 0) : Number.NEGATIVE_INFINITY;
      const isDue = status.state === 'cold' || (status.state === 'failed' && Math.abs(Date.now() - failedAtMs) > PINNED_RETRY_MS);
      if (isPinned && mayLoad && isDue && runtime.abilities.load && this.#runtimes.has(runtime))
        this.load(model.id).catch(() => {});
    }
  }

  /** Admission. The coordinator counts too, but this is where a slot is really given. */
  take(id: string): Slot | SlotRefusal {
    const entry = this.#find(id);
    if (!entry) return 'model_not_found';
    if (inFlightOf(entry.copies) >= entry.model.slots || this.inFlight >= this.#maxConcurrent) return 'node_busy';
    if (entry.status.state === 'draining' || entry.status.state === 'unloading') return 'node_busy';
    entry.inFlight += 1;
    let isReleased = false;
    return {
      runtime: entry.runtime,
      modelId: entry.model.id,
      release: () => {
        if (isReleased) return;
        isReleased = true;
        entry.inFlight -= 1;
        entry.lastUsedAtMs = this.#now();
        if (inFlightOf(entry.copies) > 0) return;
        this.#graces.get(keyOf(entry))?.end();
        this.#change(entry, { kind: 'idle' });
      },
    };
  }

  /** An attempt went through the model: it is warm, whatever the runtime said. */
  worked(id: string): void {
    const entry = this.#find(id);
    if (!entry) return;
    entry.isOurs = true;
    entry.runtime.served?.(entry.model.id);
    this.#change(entry, { kind: 'loaded' });
  }

  crashed(id: string, failure: ModelFailure): void {
    const entry = this.#find(id);
    if (entry) this.#change(entry, { kind: 'crashed', failure });
  }

  /** Resolves when the model is warm. Callers for one model share one load. Fails with RuntimeError. */
  load(id: string): Promise<void> {
    const entry = this.#find(id);
    if (!entry) return Promise.reject(new RuntimeError('model_not_found', `no runtime of this node has ${id}`));
    const key = keyOf(entry);
    const leaving = this.#unloads.get(key);
    if (entry.status.state === 'warm' && !leaving) return Promise.resolve();
    const running = this.#loads.get(key);
    if (running) return running.done;
    const abort = new AbortController();
    const load = () => this.#load(entry, abort.signal);
    const done = (leaving ? leaving.then(load, load) : load()).finally(() => this.#loads.delete(key));
    this.#loads.set(key, { done, abort });
    return done;
  }

  /** Everybody who waits for it is told `canceled`. */
  cancelLoad(id: string): void {
    const entry = this.#find(id);
    if (entry) this.#loads.get(keyOf(entry))?.abort.abort(new RuntimeError('canceled', 'the load was canceled'));
  }

  /**
   * Takes no new work for the model, lets what runs finish for `graceMs`, then interrupts it and unloads. A load on its way is
   * canceled. Callers share one unload, and the shortest grace counts.
   */
  unload(id: string, { graceMs = 0 }: { graceMs?: number } = {}): Promise<void> {
    const entry = this.#find(id);
    if (!entry) return Promise.reject(new RuntimeError('model_not_found', `no runtime of this node has ${id}`));
    const key = keyOf(entry);
    const running = this.#unloads.get(key);
    if (running) {
      this.#graces.get(key)?.shorten(graceMs);
      return running;
    }
    const grace = new Grace(inFlightOf(entry.copies) === 0 ? 0 : graceMs);
    this.#graces.set(key, grace);
    const done = this.#unload(entry, grace).finally(() => {
      grace.end();
      this.#graces.delete(key);
      this.#unloads.delete(key);
    });
    this.#unloads.set(key, done);
    return done;
  }

  /** Exchanges one model for another without restarting anything. When the new one cannot be loaded, the old one comes back. */
  async swap(models: { out: string; in: string; graceMs: number }): Promise<void> {
    if (!this.#find(models.in)) throw new RuntimeError('model_not_found', `no runtime of this node has ${models.in}`);
    await this.unload(models.out, { graceMs: models.graceMs });
    try {
      await this.load(models.in);
    } catch (error) {
      await this.load(models.out).catch(() => {});
      throw error;
    }
  }

  /** Takes the model off the disk. */
  async delete(id: string, { graceMs }: { graceMs: number }): Promise<void> {
    const entry = this.#find(id);
    if (!entry) throw new RuntimeError('model_not_found', `no runtime of this node has ${id}`);
    const { runtime, model, status } = entry;
    if (!runtime.abilities.delete || !runtime.deleteModel)
      throw new RuntimeError('request_refused', `${runtime.kind} does not delete models: their files are their owner's`);
    if (status.state !== 'cold' && status.state !== 'failed') await this.unload(model.id, { graceMs });
    await runtime.deleteModel(model.id, AbortSignal.timeout(CALL_LIMIT_MS));
    await this.refresh(runtime);
  }

  /** Asks the runtime now, for whoever has just changed what it has. */
  async refresh(runtime: Runtime): Promise<void> {
    this.observe(runtime, await runtime.listModels(AbortSignal.timeout(CALL_LIMIT_MS)));
  }

  async #unload(entry: Entry, grace: Grace): Promise<void> {
    const { id } = entry.model;
    const load = this.#loads.get(keyOf(entry));
    load?.abort.abort(new RuntimeError('canceled', 'the model was unloaded while it was loading'));
    this.#change(entry, { kind: 'unload', isBusy: inFlightOf(entry.copies) > 0 });
    try {
      if (load) await load.done.catch(() => {});
      if (!grace.isOver) await grace.over;
      for (const copy of entry.copies) if (copy.inFlight > 0) this.#interrupt(copy.model.id);
      await entry.runtime.unloadModel(id, AbortSignal.timeout(UNLOAD_LIMIT_MS));
      this.#log.info({ model: id }, 'model unloaded');
      for (const copy of entry.copies) copy.isOurs = false;
    } finally {
      // Also when it failed: the next list of the runtime says what is true, while "unloading" would never end.
      this.#change(entry, { kind: 'gone' });
    }
  }

  async #load(entry: Entry, canceled: AbortSignal): Promise<void> {
    const { id } = entry.model;
    const startedAtMs = performance.now();
    this.#change(entry, { kind: 'load' });
    try {
      canceled.throwIfAborted();
      const inTheWay = this.#inTheWayOf(entry, estimatedNeedBytes(entry.model) ?? 0);
      if (inTheWay.length > 0) await this.#sendAway(inTheWay, id);
      await this.#bringIn(entry, AbortSignal.any([canceled, AbortSignal.timeout(LOAD_LIMIT_MS)]));
      entry.isOurs = true;
      entry.lastUsedAtMs = this.#now();
      this.#change(entry, { kind: 'loaded' });
      this.#log.info({ model: id, loadMs: Math.round(performance.now() - startedAtMs) }, 'model loaded');
      for (const copy of entry.copies) if (this.#isPinned(copy.model.id)) this.#keep(copy);
    } catch (error) {
      if (canceled.aborted) {
        if (!this.#unloads.has(keyOf(entry))) this.#change(entry, { kind: 'gone' });
        throw canceled.reason;
      }
      const code = error instanceof RuntimeError ? error.code : 'load_failed';
      this.#log.warn({ model: id, err: error }, 'model could not be loaded');
      this.#change(entry, { kind: 'loadFailed', failure: { code, message: `loading ${id} failed (${code})`, atMs: Date.now() } });
      throw error;
    }
  }

  /** Some need more than their size says: when memory runs out, everything that is idle goes, and it is tried once more. */
  async #bringIn(entry: Entry, signal: AbortSignal): Promise<void> {
    const { runtime, model } = entry;
    signal.throwIfAborted();
    try {
      await runtime.loadModel(model.id, signal);
    } catch (error) {
      const isOutOfMemory = error instanceof RuntimeError && error.code === 'out_of_memory';
      const inTheWay = isOutOfMemory ? this.#inTheWayOf(entry, Number.POSITIVE_INFINITY) : [];
      if (inTheWay.length === 0) throw error;
      await this.#sendAway(inTheWay, model.id);
      signal.throwIfAborted();
      await runtime.loadModel(model.id, signal);
    }
  }

  /** Idle models that have to go before this one can be loaded. */
  #inTheWayOf(entry: Entry, needBytes: number): string[] {
    const freeBytes = this.#freeBytes();
    if (freeBytes === null) return [];
    // Several names of one copy in memory are sent away, and counted, once.
    const idle = this.#all().filter((other) => other.copies[0] === other && this.#mayGoFor(entry, other));
    const facts = idle.map(({ model, copies }) => ({
      id: model.id,
      heldBytes: model.vramBytes ?? model.sizeBytes ?? 0,
      lastUsedAtMs: lastUseOf(copies),
    }));
    return toSendAway(facts, needBytes, freeBytes);
  }

  async #sendAway(leaving: readonly string[], comingId: string): Promise<void> {
    for (const id of leaving) {
      this.#log.info({ model: id, for: comingId }, 'unloading an idle model to make room');
      await this.unload(id).catch((error: unknown) => this.#log.warn({ model: id, err: error }, 'idle model did not go'));
    }
  }

  /** What engines do with their own models is their affair where they see to it themselves; what is not ours is its owner's. */
  #mayGoFor({ runtime, copies: coming }: Entry, other: Entry): boolean {
    const { abilities } = other.runtime;
    return (
      other.status.state === 'warm' &&
      inFlightOf(other.copies) === 0 &&
      !coming.includes(other) &&
      !this.#isAnyPinned(other.copies) &&
      !this.#unloads.has(keyOf(other)) &&
      abilities.unload !== 'no' &&
      !(other.runtime === runtime && abilities.evicts) &&
      this.#isOurs(other)
    );
  }

  #isOurs({ runtime, copies }: Entry): boolean {
    return copies.some(({ isOurs }) => isOurs) || runtime.report().mode === 'owned';
  }

  #keep({ runtime, model, copies }: Entry): void {
    const isPinned = this.#isAnyPinned(copies);
    runtime
      .keepModel?.(model.id, isPinned, AbortSignal.timeout(CALL_LIMIT_MS))
      .catch((error: unknown) => this.#log.warn({ model: model.id, isPinned, err: error }, 'engine was not told about a pin'));
  }

  #isPinned(id: string): boolean {
    return this.#pinned.some((pinned) => sameModel(pinned, id));
  }

  #isAnyPinned(copies: readonly Entry[]): boolean {
    return copies.some(({ model }) => this.#isPinned(model.id));
  }

  #find(id: string): Entry | undefined {
    return this.#entries.get(id) ?? this.#all().find(({ model }) => sameModel(model.id, id));
  }

  /** Entries of one key are one copy in memory: they share its state from now on. */
  #group(): void {
    for (const copies of Map.groupBy(this.#entries.values(), keyOf).values()) {
      const [first] = copies;
      for (const entry of copies) {
        entry.copies = copies;
        if (first) entry.status = first.status;
      }
    }
  }

  #change(entry: Entry, event: ModelEvent): void {
    const before = entry.status;
    for (const copy of entry.copies) copy.status = nextModelStatus(copy.status, event);
    if (entry.status.state !== before.state) this.#onChange();
  }

  #all(): Entry[] {
    return [...this.#entries.values()];
  }

  #fingerprint(): string {
    return JSON.stringify(this.report());
  }
}

/** What is one copy in memory, under whichever names. */
const keyOf = ({ runtime, model }: Entry): string => `${runtime.kind} ${model.digest ?? model.id}`;

const inFlightOf = (copies: readonly Entry[]): number => copies.reduce((sum, copy) => sum + copy.inFlight, 0);

const lastUseOf = (copies: readonly Entry[]): number => Math.max(...copies.map(({ lastUsedAtMs }) => lastUsedAtMs));
