import type { FleetNode } from '@lai/shared/fleet-api';
import type { Hold } from '@lai/shared/node';
import { clock, span } from './format.ts';

/** Shape and colour of a state; the word beside it says the same. */
export type Mark = 'ok' | 'wait' | 'bad' | 'off' | 'game';

export interface NodeState {
  readonly mark: Mark;
  readonly word: string;
  /** Why or since when; null where the word says it all. */
  readonly detail: string | null;
  /** What follows the machine's name in a sentence. */
  readonly predicate: string;
  /** Can it take work now? */
  readonly works: boolean;
}

const state = (mark: Mark, word: string, detail: string | null = null, predicate = `is ${word}`): NodeState => ({
  ...{ mark, word, detail, works: mark === 'ok' },
  predicate: detail === null ? predicate : `${predicate} (${detail})`,
});

/** The first thing that is true of a machine, the most serious first. Pure. */
export const nodeState = (node: FleetNode, nowMs: number): NodeState => {
  const { entry, liveness, report, lastSeenMs } = node;
  if (entry.state === 'locked') return state('bad', 'locked', entry.stateReason);
  if (entry.state === 'revoked') return state('bad', 'shut out', entry.stateReason);
  if (entry.state === 'pending') return state('wait', 'needs approval', null, 'needs approval');
  if (liveness === 'offline') return awayState(lastSeenMs, nowMs);
  if (liveness === 'suspect') return state('wait', 'does not answer', null, 'does not answer');
  if (!report) return state('wait', 'connecting');
  const held = heldState(report.holds);
  if (held) return held;
  if (report.update && UPDATING.has(report.update.state))
    return { ...state('wait', 'updating', report.update.version), works: true };
  const broken = report.runtimes.find((runtime) => runtime.state === 'failed');
  if (broken) return state('bad', 'engine down', broken.detail ?? broken.kind, 'has no engine');
  if (report.runtimes.length > 0 && report.runtimes.every((runtime) => runtime.state !== 'ready'))
    return state('wait', 'engine starting', null, 'starts its engine');
  return state('ok', 'up');
};

const UPDATING: ReadonlySet<string> = new Set(['downloading', 'draining', 'trial']);

const awayState = (lastSeenMs: number | null, nowMs: number): NodeState => {
  if (lastSeenMs === null) return state('bad', 'never connected', null, 'has never connected');
  const since = `since ${clock(lastSeenMs, nowMs)} (${span(nowMs - lastSeenMs)})`;
  return { ...state('bad', 'away', since), predicate: `is away ${since}` };
};

const CAUSES: Record<string, string> = { owner: 'by its owner', operator: 'by an operator', update: 'for an update' };
const causeOf = ({ cause }: Hold): string => CAUSES[cause] ?? cause;

const heldState = (holds: readonly Hold[]): NodeState | null => {
  const of = (kind: string) => holds.find((hold) => hold.kind === kind);
  const lost = of('gpu_lost');
  if (lost) return state('bad', 'GPU lost', lost.cause, 'has lost its GPU');
  const gaming = of('gaming');
  if (gaming) return state('game', 'gaming', gamingCause(gaming.cause));
  if (of('stop_all')) return state('off', 'stopped by its owner');
  const resting = of('draining');
  if (resting) return state('off', 'resting', causeOf(resting));
  const [other] = holds;
  return other ? state('wait', other.kind.replaceAll('_', ' '), causeOf(other), 'takes no work') : null;
};

/** Who or what made it gaming: somebody, quiet hours, or a program by its name. */
export const gamingCause = (cause: string | null): string | null => {
  if (cause === 'owner') return 'set at the machine';
  return cause === 'operator' ? 'set by an operator' : cause;
};
