import type { ModelState } from '@lai/shared/node';

/** What decides whether a model has outstayed. */
export interface IdleFacts {
  readonly state: ModelState;
  readonly inFlight: number;
  readonly isPinned: boolean;
  /** Its engine can unload it. */
  readonly canUnload: boolean;
  /** We loaded it or had answers from it, or the engine is ours anyway: what somebody else loaded into their own engine is theirs. */
  readonly isOurs: boolean;
  readonly lastUsedAtMs: number;
}

/** Pure. `limitMs` null: models stay until somebody needs the room. */
export const isIdleTooLong = (facts: IdleFacts, nowMs: number, limitMs: number | null): boolean =>
  limitMs !== null &&
  facts.state === 'warm' &&
  facts.inFlight === 0 &&
  !facts.isPinned &&
  facts.canUnload &&
  facts.isOurs &&
  nowMs - facts.lastUsedAtMs >= limitMs;
