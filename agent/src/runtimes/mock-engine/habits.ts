import type { HostedModel } from './hosted-model.ts';

/** How one kind of engine behaves where the kinds differ. Stated by its dialect, together with where that is known from. */
export interface Habits {
  /** Parallel requests of a model whose spec says nothing. */
  readonly slots: number;
  readonly loadsAtOnce: number;
  readonly abandonedLoad: 'abort' | 'finish';
  /** True: everybody who waits for a load fails with it. False: the next one tries again. */
  readonly sharesLoadFailure: boolean;
  readonly eviction: 'shortest-keep-alive' | 'least-recent';
  readonly evictsForMemory: boolean;
  /** A model that was asked to go while busy still takes new requests. */
  readonly leavingTakesRequests: boolean;
  readonly afterCrash: 'stale' | 'cold' | 'engine-dead';
  readonly whenExpired: 'unload' | 'sleep';
  readonly wakesOnRequest: boolean;
  /** Takes this share of the whole GPU, whatever the model's size; null = what the model needs. */
  readonly preallocatedShare: number | null;
}

export type ModelEvent =
  | { readonly kind: 'loading'; readonly model: HostedModel; readonly isWakeUp: boolean }
  | { readonly kind: 'progress'; readonly model: HostedModel; readonly value: number }
  | { readonly kind: 'loaded'; readonly model: HostedModel; readonly isWakeUp: boolean }
  | { readonly kind: 'sleeping'; readonly model: HostedModel }
  | { readonly kind: 'unloaded'; readonly model: HostedModel; readonly exitCode: number };
