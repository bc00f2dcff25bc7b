import type { NodeSnapshot } from '@lai/shared/node';

const HOLD = 'unreadable';
const TROUBLES_LIMIT = 64;

/** A snapshot with what the coordinator could not read of it, beside what the agent left out itself. Pure. */
export const withTroubles = (snapshot: NodeSnapshot, leftOut: readonly string[]): NodeSnapshot =>
  leftOut.length === 0
    ? snapshot
    : { ...snapshot, troubles: [...(snapshot.troubles ?? []), ...leftOut].slice(0, TROUBLES_LIMIT) };

/**
 * What to show of a node whose newest snapshot cannot be read: the last one that could be, held, because nobody knows whether it is still
 * true. The next readable snapshot replaces it. Pure.
 */
export const heldAsUnreadable = (
  last: NodeSnapshot | null,
  { name, problem, nowMs }: { name: string; problem: string; nowMs: number },
): NodeSnapshot => {
  const known = last ?? nothingKnown(name, nowMs);
  const others = known.holds.filter(({ kind }) => kind !== HOLD);
  const since = known.holds.find(({ kind }) => kind === HOLD)?.sinceMs ?? nowMs;
  const cause = `the node's report cannot be read: ${problem}`.slice(0, 300);
  return { ...known, holds: [...others, { kind: HOLD, cause, sinceMs: since, untilMs: null }] };
};

const nothingKnown = (name: string, nowMs: number): NodeSnapshot => ({
  name,
  sequence: 0,
  takenAtMs: nowMs,
  agentVersion: '',
  os: { platform: '', release: '', arch: '' },
  runtimes: [],
  gpus: [],
  memory: { totalBytes: 0, freeBytes: 0 },
  modelDiskFreeBytes: null,
  models: [],
  holds: [],
  maxConcurrent: 0,
  inFlight: 0,
});
