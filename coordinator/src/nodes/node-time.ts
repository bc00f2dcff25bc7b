import type { NodeDesired, NodeSnapshot } from '@lai/shared/node';
import { spanOf } from '@lai/shared/span';

/** What the way here may take, and what nobody sees in the times that are shown. */
const TOLERATED_MS = 2_000;
/** Certificates and tokens allow for this much. */
const TOLD_MS = 60_000;

/**
 * How far the node's clock is ahead of ours, by what it last said; 0 where the difference may be the way here. Keeps to the last answer
 * while it is good enough, so that times do not move with every snapshot. Pure.
 */
export const skewOf = (lastMs: number, { takenAtMs, nowMs }: { takenAtMs: number; nowMs: number }): number => {
  const seenMs = takenAtMs - nowMs;
  if (Math.abs(seenMs - lastMs) <= TOLERATED_MS) return lastMs;
  return Math.abs(seenMs) <= TOLERATED_MS ? 0 : seenMs;
};

/** What to tell of a clock that is off by more than a minute, for people. Pure. */
export const clockTroubles = (skewMs: number): readonly string[] =>
  Math.abs(skewMs) <= TOLD_MS
    ? []
    : [
        `Its clock is ${spanOf(Math.abs(skewMs))} ${skewMs > 0 ? 'ahead of' : 'behind'} the coordinator's. Turn on time synchronization on both.`,
      ];

/** The same snapshot with every moment by our clock. Pure. */
export const inOurTime = (snapshot: NodeSnapshot, skewMs: number): NodeSnapshot => {
  if (skewMs === 0) return snapshot;
  const ours = (atMs: number): number => Math.max(0, atMs - skewMs);
  const oursOrNever = (atMs: number | null): number | null => (atMs === null ? null : ours(atMs));
  const { gaming, preemption } = snapshot;
  return {
    ...snapshot,
    takenAtMs: ours(snapshot.takenAtMs),
    models: snapshot.models.map((model) => ({
      ...model,
      expiresAtMs: oursOrNever(model.expiresAtMs),
      failure: model.failure && { ...model.failure, atMs: ours(model.failure.atMs) },
    })),
    holds: snapshot.holds.map((hold) => ({ ...hold, sinceMs: ours(hold.sinceMs), untilMs: oursOrNever(hold.untilMs) })),
    ...(gaming ? { gaming: { ...gaming, untilMs: oursOrNever(gaming.untilMs) } } : {}),
    ...(preemption
      ? {
          preemption: {
            ...preemption,
            sinceMs: ours(preemption.sinceMs),
            steps: preemption.steps.map((step) => ({ ...step, atMs: ours(step.atMs) })),
          },
        }
      : {}),
  };
};

/** Wishes with the time that is left of them: the node's clock may be another. Pure. */
export const withTimeLeft = (desired: NodeDesired, nowMs: number): NodeDesired => {
  const { gaming } = desired;
  if (!gaming) return desired;
  const leftMs = gaming.untilMs === null ? null : Math.max(0, gaming.untilMs - nowMs);
  return { ...desired, gaming: { ...gaming, leftMs } };
};
