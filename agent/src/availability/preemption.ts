/**
 * Giving the GPU back to the machine's owner, as data. Pure: state, facts and time in, next state and what to do out.
 *
 *   idle ──hold──► finishing ──grace over──► canceling ──► unloading ──► verifying ──► freed
 *                      └── nothing runs ───────────────────────▲  │ late       │ late    ▲ │ a forced request ended
 *                                                              │  ▼            ▼         │ │
 *                                                              │  stopping_engine ───────┘ │      an adopted engine cannot be
 *                                                              └───────────────────────────┘      stopped: stuck, and watched
 *   any ──no hold──► returning ──engines told to start──► idle
 */
export type PreemptionStep =
  | 'idle'
  | 'finishing'
  | 'canceling'
  | 'unloading'
  | 'verifying'
  | 'stopping_engine'
  | 'freed'
  | 'stuck'
  | 'returning';

export interface PreemptionState {
  readonly step: PreemptionStep;
  readonly sinceMs: number;
  /** When unloading began: the whole of unloading and verifying shares one limit. */
  readonly freeingSinceMs: number | null;
  /** Why this step was taken, for people. */
  readonly detail: string | null;
}

export interface PreemptionFacts {
  /** A hold that wants the memory: gaming, or "stop everything". */
  readonly isHeld: boolean;
  /** Requests that are not forced. */
  readonly inFlight: number;
  readonly forcedInFlight: number;
  /** A forced request has loaded something since the memory was given back. */
  readonly isUsedAgain: boolean;
  /** Models that are anything but cold. */
  readonly loadedModels: number;
  /** By the GPU's own reading; `unknown` where there is none. */
  readonly memory: 'free' | 'held' | 'unknown';
  readonly canStopEngines: boolean;
  readonly areEnginesStopped: boolean;
}

export interface PreemptionPolicy {
  readonly whileBusy: 'finish' | 'cancel';
  readonly graceMs: number;
  readonly stopEngineAfterMs: number;
}

export type PreemptionAction = 'cancel-attempts' | 'unload-models' | 'stop-engines' | 'return';

export interface PreemptionMove {
  readonly state: PreemptionState;
  readonly action: PreemptionAction | null;
}

export const idlePreemption: PreemptionState = { step: 'idle', sinceMs: 0, freeingSinceMs: null, detail: null };

/** Aborted requests are gone within a token; one that is not must not keep the owner waiting. */
const CANCEL_MS = 500;
/** The first reading after an unload may take this long; where none comes there is no GPU to read. */
const READING_MS = 1_000;
const STOP_MS = 5_000;

export const nextPreemption = (
  state: PreemptionState,
  facts: PreemptionFacts,
  policy: PreemptionPolicy,
  nowMs: number,
): PreemptionMove => {
  const forMs = nowMs - state.sinceMs;
  const isLate = state.freeingSinceMs !== null && nowMs - state.freeingSinceMs >= policy.stopEngineAfterMs;
  const stay: PreemptionMove = { state, action: null };
  const enter = (step: PreemptionStep, detail: string | null = null, action: PreemptionAction | null = null): PreemptionMove => ({
    state: {
      step,
      sinceMs: nowMs,
      freeingSinceMs: step === 'unloading' ? nowMs : step === 'verifying' ? state.freeingSinceMs : null,
      detail,
    },
    action,
  });
  const unload = (detail: string | null = null) => enter('unloading', detail, 'unload-models');
  const cancel = (detail: string) => enter('canceling', detail, 'cancel-attempts');
  const escalate = (detail: string): PreemptionMove =>
    facts.canStopEngines
      ? enter('stopping_engine', detail, 'stop-engines')
      : enter('stuck', `${detail}; the engine is not ours to stop`);

  if (!facts.isHeld) {
    if (state.step === 'idle') return stay;
    return state.step === 'returning' ? enter('idle') : enter('returning', null, 'return');
  }
  switch (state.step) {
    case 'idle':
    case 'returning':
      if (facts.inFlight === 0) return unload();
      return policy.whileBusy === 'cancel' || policy.graceMs === 0
        ? cancel(`${facts.inFlight} running`)
        : enter('finishing', `${facts.inFlight} running, ${policy.graceMs} ms to go`);
    case 'finishing':
      if (facts.inFlight === 0) return unload('all finished in time');
      return forMs >= policy.graceMs ? cancel(`${facts.inFlight} did not finish in ${policy.graceMs} ms`) : stay;
    case 'canceling':
      return facts.inFlight === 0 || forMs >= CANCEL_MS ? unload() : stay;
    case 'unloading':
      if (facts.loadedModels === 0) return enter('verifying');
      return isLate ? escalate(`${facts.loadedModels} still loaded after ${forMs} ms`) : stay;
    case 'verifying':
      if (facts.memory === 'free') return enter('freed', "by the GPU's own reading");
      if (facts.memory === 'unknown')
        return forMs >= READING_MS ? enter('freed', "by the engine's word: the GPU tells nothing") : stay;
      return isLate ? escalate('unloaded, and the memory is still held') : stay;
    case 'stopping_engine':
      if (facts.areEnginesStopped && facts.memory !== 'held') return enter('freed', 'the engine was stopped');
      return forMs >= STOP_MS ? enter('stuck', 'the engine was stopped and the memory is still held') : stay;
    case 'stuck':
      return facts.memory === 'free' && facts.loadedModels === 0 ? enter('freed', "by the GPU's own reading") : stay;
    case 'freed':
      return facts.isUsedAgain && facts.forcedInFlight === 0 ? unload('a forced request is done') : stay;
  }
};
