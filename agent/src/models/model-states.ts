import type { ModelFailure, ModelState } from '@lai/shared/node';

/**
 * What we believe about one model, and why. Pure: the runtime's answers are one input among others, because runtimes lie: Ollama's
 * list is silent while a model loads, and names a crashed runner as loaded until somebody asks it for something.
 *
 *             load            loaded                unload             gone
 *    cold ─────────► loading ───────► warm ─────────────► unloading ───────► cold
 *     ▲                 │              │  └─ unload, busy ─► draining ──idle──┘
 *     │      loadFailed ▼              │ crashed
 *     └───────────── failed ◄──────────┘       failed ──load──► loading
 */
export interface ModelStatus {
  readonly state: ModelState;
  readonly failure: ModelFailure | null;
  /** The runtime's "loaded" is not believed until something of ours has worked again. */
  readonly isDistrusted: boolean;
  /** Somebody else loads it: only what the runtime says tells us how that ends. */
  readonly isLoadOfOthers?: boolean;
}

export type ModelEvent =
  | { readonly kind: 'load' }
  | { readonly kind: 'loaded' }
  | { readonly kind: 'loadFailed'; readonly failure: ModelFailure }
  | { readonly kind: 'unload'; readonly isBusy: boolean }
  | { readonly kind: 'idle' }
  | { readonly kind: 'gone' }
  | { readonly kind: 'crashed'; readonly failure: ModelFailure }
  | { readonly kind: 'observed'; readonly runtimeSays: 'loaded' | 'loading' | 'unloaded' };

export const unknownModel: ModelStatus = { state: 'cold', failure: null, isDistrusted: false };

const at = (state: ModelState): ModelStatus => ({ state, failure: null, isDistrusted: false });

export const nextModelStatus = (status: ModelStatus, event: ModelEvent): ModelStatus => {
  switch (event.kind) {
    case 'load':
      return status.state === 'warm' ? status : { ...at('loading'), isDistrusted: status.isDistrusted };
    case 'loaded':
      return status.state === 'draining' || status.state === 'unloading' ? status : at('warm');
    case 'loadFailed':
      return { state: 'failed', failure: event.failure, isDistrusted: false };
    case 'unload':
      return at(event.isBusy ? 'draining' : 'unloading');
    case 'idle':
      return status.state === 'draining' ? at('unloading') : status;
    case 'gone':
      return status.state === 'failed' ? status : at('cold');
    case 'crashed':
      // What we take down ourselves looks like a crash to whoever was listening.
      if (status.state === 'draining' || status.state === 'unloading') return status;
      return { state: 'failed', failure: event.failure, isDistrusted: true };
    case 'observed':
      return observed(status, event.runtimeSays);
  }
};

/** In the middle of something of ours, its own ending says how it went. */
const observed = (status: ModelStatus, says: 'loaded' | 'loading' | 'unloaded'): ModelStatus => {
  switch (status.state) {
    case 'loading':
      if (status.isLoadOfOthers && says !== 'loading') return at(says === 'loaded' ? 'warm' : 'cold');
      return status;
    case 'draining':
    case 'unloading':
      return status;
    case 'warm':
      return says === 'unloaded' ? at('cold') : status;
    case 'cold':
      if (says === 'loading') return { ...at('loading'), isLoadOfOthers: true };
      return says === 'loaded' && !status.isDistrusted ? at('warm') : status;
    case 'failed':
      return says === 'loaded' && !status.isDistrusted ? at('warm') : status;
  }
};
