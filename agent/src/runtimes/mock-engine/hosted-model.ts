import type { RequestRecord } from './census.ts';
import type { Fault, FaultKind } from './faults.ts';
import { GIB } from './model-spec.ts';
import type { ModelSpec } from './options.ts';

/**
 * cold → loading → warm → unloading → cold
 *          ↓        ↓ ↑ (sleeping: llama-server, vLLM)
 *         cold     stale (its process died; Ollama goes on listing it until the next request) → loading
 */
export type Phase = 'cold' | 'loading' | 'warm' | 'unloading' | 'sleeping' | 'stale';

/** One model of the engine. Only the engine writes here. */
export interface HostedModel {
  readonly spec: ModelSpec;
  readonly slots: number;
  readonly modifiedAt: Date;
  isPresent: boolean;
  phase: Phase;
  /** Asked to go; it goes when the last request is done. */
  isLeaving: boolean;
  contextLength: number;
  /** GPU memory held; less than `sizeBytes` when part of it runs on the CPU. */
  vramBytes: number;
  sizeBytes: number;
  keepAliveMs: number | null;
  /** Null while busy or when it never expires. */
  expiresAtMs: number | null;
  lastUsedMs: number;
  exitCode: number;
  expiry: NodeJS.Timeout | null;
  readonly busy: Set<Ticket>;
  /** For a slot, oldest first. */
  readonly waiting: Ticket[];
  readonly counts: {
    maxBusy: number;
    loadsStarted: number;
    loadsFinished: number;
    loadsFailed: number;
    loadsAborted: number;
    unloads: number;
    crashes: number;
    requests: number;
    tokens: number;
    promptTokens: number;
  };
}

export const hostModel = (model: { spec: ModelSpec; slots: number; nowMs: number }): HostedModel => ({
  spec: model.spec,
  slots: model.spec.slots ?? model.slots,
  modifiedAt: new Date(model.nowMs),
  isPresent: model.spec.isPresent,
  phase: 'cold',
  isLeaving: false,
  contextLength: model.spec.contextLength,
  vramBytes: 0,
  sizeBytes: 0,
  keepAliveMs: null,
  expiresAtMs: null,
  lastUsedMs: 0,
  exitCode: 0,
  expiry: null,
  busy: new Set(),
  waiting: [],
  counts: {
    maxBusy: 0,
    loadsStarted: 0,
    loadsFinished: 0,
    loadsFailed: 0,
    loadsAborted: 0,
    unloads: 0,
    crashes: 0,
    requests: 0,
    tokens: 0,
    promptTokens: 0,
  },
});

/** About what a three-billion-parameter model keeps per token of context with four-bit weights, scaled by the weights. */
const KV_BYTES_PER_TOKEN_PER_GB = 16 * 1024;

/** Weights plus the context of every slot: what a load takes. */
export const neededBytes = (model: HostedModel, contextLength: number): number =>
  Math.round(
    model.spec.sizeBytes + model.slots * contextLength * KV_BYTES_PER_TOKEN_PER_GB * Math.min(8, model.spec.sizeBytes / GIB),
  );

/** A model that runs partly on the CPU is much slower than the missing share alone would suggest. */
export const speedFactor = (model: HostedModel): number =>
  model.sizeBytes === 0 ? 1 : Math.max(0.05, (model.vramBytes / model.sizeBytes) ** 3);

export const isListed = (model: HostedModel): boolean =>
  model.phase === 'warm' || model.phase === 'unloading' || model.phase === 'stale';

/** Why a request gets no answer; each dialect has its own words for these. */
export type Refusal =
  | { readonly kind: 'busy' }
  | { readonly kind: 'loading' }
  | { readonly kind: 'error' }
  | { readonly kind: 'crashed' }
  | { readonly kind: 'dead' }
  | { readonly kind: 'load-failed' }
  | { readonly kind: 'oom'; readonly neededBytes: number };

export type Admission =
  | { readonly kind: 'slot' }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | { readonly kind: 'gone' };

/** Why a running generation is cut from outside. */
export type Death = 'crash' | 'unload' | 'sleep' | 'exit';

/**
 * A request's place in the engine: waiting for the model, then for a slot, then in one. Settled exactly once.
 * Writer: the engine; `abort` and `kill` are told on to whoever runs the generation.
 */
export class Ticket {
  readonly model: HostedModel;
  readonly record: RequestRecord;
  readonly faults: readonly Fault[];
  /** False for calls that only want the model loaded. */
  readonly wantsSlot: boolean;
  /** Null = whatever it is loaded with. */
  readonly contextLength: number | null;
  /** Undefined = leave the model's own. */
  readonly keepAliveMs: number | null | undefined;
  readonly openedAtMs = performance.now();
  readonly admission: Promise<Admission>;
  isAborted = false;
  isOver = false;
  /** How long this request waited for its model to be loaded. */
  loadMs = 0;
  onAbort: (() => void) | null = null;
  onDeath: ((death: Death) => void) | null = null;
  #resolve: (admission: Admission) => void = () => {};

  constructor(request: {
    model: HostedModel;
    record: RequestRecord;
    faults?: readonly Fault[];
    wantsSlot?: boolean;
    contextLength?: number | null;
    keepAliveMs?: number | null | undefined;
  }) {
    this.model = request.model;
    this.record = request.record;
    this.faults = request.faults ?? [];
    this.wantsSlot = request.wantsSlot ?? true;
    this.contextLength = request.contextLength ?? null;
    this.keepAliveMs = request.keepAliveMs;
    this.admission = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  settle(admission: Admission): void {
    this.#resolve(admission);
  }

  fault(kind: FaultKind): Fault | undefined {
    return this.faults.find((fault) => fault.kind === kind);
  }
}
