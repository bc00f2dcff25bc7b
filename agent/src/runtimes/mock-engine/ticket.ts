import type { RequestRecord } from './census.ts';
import type { Fault, FaultKind } from './faults.ts';
import type { HostedModel } from './hosted-model.ts';

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
