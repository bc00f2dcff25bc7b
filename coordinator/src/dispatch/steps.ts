import type { ErrorCode } from '@lai/shared/errors';
import type { Placement } from '../scheduler/place.ts';

/** Why a step of a route is left for the next one. */
export interface Left {
  /** A word that clients may switch on: a hold's kind, a failure code, or one of `busy`, `loading`, `offline`. */
  readonly reason: string;
  readonly detail: string;
}

/**
 * Why a step on the fleet should not even be tried while there is another one; null when it should. Pure. Waiting is worth it for as long
 * as the step's patience lasts, and not for a machine that its owner plays on.
 */
export const whyLeave = ({ decision, candidates, refusals }: Placement, spillAfterMs: number | null): Left | null => {
  const ours = refusals.filter(({ reason }) => reason !== 'not_in_step' && reason !== 'no_model');
  const detail = ours
    .map(({ nodeName, detail: why }) => `${nodeName}: ${why}`)
    .slice(0, 4)
    .join('; ');
  if (decision.kind === 'never' || decision.kind === 'failing') return { reason: decision.code, detail };
  const [best] = candidates;
  if (!best) {
    if (ours.every(({ reason }) => reason === 'held' || reason === 'offline')) {
      const held = ours.find(({ reason }) => reason === 'held');
      return held
        ? { reason: held.detail.split(' ')[0] ?? 'held', detail }
        : { reason: 'offline', detail: detail || 'not connected' };
    }
    return null;
  }
  if (decision.kind === 'run' || spillAfterMs === null) return null;
  const waitMs = best.score.waitMs + best.score.loadMs + best.score.evictMs;
  if (waitMs <= spillAfterMs) return null;
  const seconds = Math.round(waitMs / 1_000);
  const reason = best.action === 'wait' ? 'busy' : 'loading';
  return { reason, detail: `${best.nodeName} could begin in about ${seconds} s` };
};

/**
 * The client's own mistakes, its own wish, and requests that must not be repeated: another step would not help, or must not be asked.
 */
const STAYS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'canceled',
  'deadline_exceeded',
  'request_refused',
  'request_quarantined',
  'content_filtered',
  'invalid_json',
  'invalid_value',
  'invalid_header',
  'invalid_api_key',
  'permission_denied',
  'shutting_down',
  'internal_error',
]);

/** May the next step be tried after this failure, while nothing has reached the client? */
export const leavesStep = (code: ErrorCode): boolean => !STAYS.has(code);
