import { type LoadedModel, type ModelFailure, sameModel } from '@lai/shared/node';
import type { Logger } from 'pino';
import { type Runtime, RuntimeError, type RuntimeModel } from '../runtimes/runtime.ts';
import { type ModelEvent, type ModelStatus, nextModelStatus, unknownModel } from './model-states.ts';

/** Ollama's own limit is a stall of 5 min; a load that takes longer than this is not coming. */
const LOAD_LIMIT_MS = 10 * 60_000;
const UNLOAD_LIMIT_MS = 30_000;

interface Entry {
  readonly runtime: Runtime;
  model: RuntimeModel;
  status: ModelStatus;
  inFlight: number;
  isPinned: boolean;
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
 * three. Loads are single-flight per model and nobody's disconnect cancels them.
 */
export class Models {
  readonly #entries = new Map<string, Entry>();
  readonly #loads = new Map<string, Promise<void>>();
  readonly #onChange: () => void;
  readonly #log: Logger;
  readonly #maxConcurrent: number;

  constructor(options: { maxConcurrent: number; onChange: () => void; log: Logger }) {
    this.#maxConcurrent = options.maxConcurrent;
    this.#onChange = options.onChange;
    this.#log = options.log;
  }

  get maxConcurrent(): number {
    return this.#maxConcurrent;
  }

  get inFlight(): number {
    return this.#all().reduce((sum, entry) => sum + entry.inFlight, 0);
  }

  report(): LoadedModel[] {
    return this.#all().map(({ runtime, model, status, inFlight, isPinned }) => ({
      id: model.id,
      runtime: runtime.kind,
      state: status.state,
      capabilities: [...model.capabilities],
      contextLength: model.contextLength,
      sizeBytes: model.sizeBytes,
      vramBytes: model.vramBytes,
      slots: model.slots,
      inFlight,
      isPinned,
      expiresAtMs: model.expiresAtMs,
      failure: status.failure,
    }));
  }

  /** Takes what a runtime just said about its models; models it no longer has are forgotten. */
  observe(runtime: Runtime, models: readonly RuntimeModel[]): void {
    const before = this.#fingerprint();
    for (const model of models) {
      const entry = this.#entries.get(model.id);
      if (entry && entry.runtime !== runtime) continue; // the first runtime that has a model of this name serves it
      if (entry) entry.model = model;
      else this.#entries.set(model.id, { runtime, model, status: unknownModel, inFlight: 0, isPinned: false });
      const says = model.isLoaded ? 'loaded' : model.isLoading ? 'loading' : 'unloaded';
      this.#apply(model.id, { kind: 'observed', runtimeSays: says });
    }
    for (const [id, entry] of this.#entries) {
      if (entry.runtime === runtime && entry.inFlight === 0 && !models.some((model) => model.id === id)) this.#entries.delete(id);
    }
    if (this.#fingerprint() !== before) this.#onChange();
  }

  /** The runtime does not answer: nothing of it is warm any more. */
  lose(runtime: Runtime): void {
    let isChanged = false;
    for (const [id, entry] of this.#entries) {
      if (entry.runtime !== runtime || entry.status.state === 'cold' || this.#loads.has(id)) continue;
      entry.status = unknownModel;
      isChanged = true;
    }
    if (isChanged) this.#onChange();
  }

  /** Admission. The coordinator counts too, but this is where a slot is really given. */
  take(id: string): Slot | SlotRefusal {
    const entry = this.#find(id);
    if (!entry) return 'model_not_found';
    if (entry.inFlight >= entry.model.slots || this.inFlight >= this.#maxConcurrent) return 'node_busy';
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
        if (entry.inFlight === 0) this.#change(entry.model.id, { kind: 'idle' });
      },
    };
  }

  /** An attempt went through the model: it is warm, whatever the runtime said. */
  worked(id: string): void {
    this.#change(id, { kind: 'loaded' });
  }

  crashed(id: string, failure: ModelFailure): void {
    this.#change(id, { kind: 'crashed', failure });
  }

  /** Resolves when the model is warm. Callers for one model share one load. Fails with RuntimeError. */
  load(id: string): Promise<void> {
    const entry = this.#find(id);
    if (!entry) return Promise.reject(new RuntimeError('model_not_found', `no runtime of this node has ${id}`));
    if (entry.status.state === 'warm') return Promise.resolve();
    const running = this.#loads.get(entry.model.id);
    if (running) return running;
    const load = this.#load(entry).finally(() => this.#loads.delete(entry.model.id));
    this.#loads.set(entry.model.id, load);
    return load;
  }

  async unload(id: string): Promise<void> {
    const entry = this.#find(id);
    if (!entry) throw new RuntimeError('model_not_found', `no runtime of this node has ${id}`);
    this.#change(entry.model.id, { kind: 'unload', isBusy: entry.inFlight > 0 });
    try {
      await entry.runtime.unloadModel(entry.model.id, AbortSignal.timeout(UNLOAD_LIMIT_MS));
    } finally {
      // Also when it failed: the next list of the runtime says what is true, while "unloading" would never end.
      this.#change(entry.model.id, { kind: 'gone' });
    }
  }

  async #load(entry: Entry): Promise<void> {
    const { id } = entry.model;
    const startedAtMs = performance.now();
    this.#change(id, { kind: 'load' });
    try {
      await entry.runtime.loadModel(id, AbortSignal.timeout(LOAD_LIMIT_MS));
      this.#change(id, { kind: 'loaded' });
      this.#log.info({ model: id, loadMs: Math.round(performance.now() - startedAtMs) }, 'model loaded');
    } catch (error) {
      const code = error instanceof RuntimeError ? error.code : 'load_failed';
      this.#log.warn({ model: id, err: error }, 'model could not be loaded');
      this.#change(id, { kind: 'loadFailed', failure: { code, message: `loading ${id} failed (${code})`, atMs: Date.now() } });
      throw error;
    }
  }

  #find(id: string): Entry | undefined {
    return this.#entries.get(id) ?? this.#all().find((entry) => sameModel(entry.model.id, id));
  }

  #change(id: string, event: ModelEvent): void {
    if (this.#apply(id, event)) this.#onChange();
  }

  #apply(id: string, event: ModelEvent): boolean {
    const entry = this.#entries.get(id);
    if (!entry) return false;
    const before = entry.status;
    entry.status = nextModelStatus(before, event);
    return entry.status.state !== before.state;
  }

  #all(): Entry[] {
    return [...this.#entries.values()];
  }

  #fingerprint(): string {
    return JSON.stringify(this.report());
  }
}
