import { ERRORS, type ErrorCode } from '@lai/shared/errors';

export const MAX_ATTEMPTS = 3;
const REFUSED_WAIT_MS = 100;
/** Its queue is longer than ours knows of; meanwhile another node is better (cooldowns.ts). */
const OVERLOADED_WAIT_MS = 500;

/** The node said no before it did anything: our picture of it was old. Nothing was tried, so nothing counts. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set(['node_busy', 'node_held', 'engine_overloaded', 'model_loading']);

/**
 * The machine went away or was taken, or the engine died under everybody who was on it: that many requests must move at once is no storm
 * of ours. How often one request may do so is bounded by the quarantine.
 */
const MOVES: ReadonlySet<ErrorCode> = new Set(['node_lost', 'accept_timeout', 'preempted', 'engine_crashed']);

export type AfterFailure =
  | { readonly kind: 'stop' }
  /** Try again, after `waitMs`; on another node if `excludesNode`; only while retries are few if `needsBudget`. */
  | {
      readonly kind: 'again';
      readonly excludesNode: boolean;
      readonly countsAsAttempt: boolean;
      readonly needsBudget: boolean;
      readonly waitMs: number;
    };

/**
 * What to do when an attempt failed. Pure. The one retry loop of the system asks it; nobody else retries.
 * Once a content byte has reached the client nothing is tried again: two half answers are worse than one honest error.
 */
export const afterFailure = (failure: {
  readonly code: ErrorCode;
  readonly isCommitted: boolean;
  /** Attempts made, this one included. */
  readonly attempts: number;
  readonly msLeft: number;
}): AfterFailure => {
  const { code, isCommitted, attempts, msLeft } = failure;
  if (isCommitted || !ERRORS[code].failover || msLeft <= 0) return { kind: 'stop' };
  if (REFUSALS.has(code)) {
    const waitMs = code === 'engine_overloaded' ? OVERLOADED_WAIT_MS : REFUSED_WAIT_MS;
    return { kind: 'again', excludesNode: false, countsAsAttempt: false, needsBudget: false, waitMs };
  }
  if (attempts >= MAX_ATTEMPTS) return { kind: 'stop' };
  return { kind: 'again', excludesNode: true, countsAsAttempt: true, needsBudget: !MOVES.has(code), waitMs: 0 };
};
