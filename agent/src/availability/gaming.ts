import type { GamingReport, GamingWish } from '@lai/shared/node';
import { type GamingPolicy, type QuietHours, WEEKDAYS } from './policy.ts';

/** A wish, when it was made and when it ends, by this machine's clock. */
export interface DatedWish {
  readonly mode: GamingWish['mode'];
  readonly untilMs: number | null;
  readonly atMs: number;
  /** As the coordinator named its end, by a clock of its own; tells a new wish from one that is told again. */
  readonly toldUntilMs?: number | null | undefined;
}

/** The coordinator's wish by our clock. Coordinators of before tell no time that is left: theirs is believed to be our clock. */
export const datedWish = ({ mode, untilMs, leftMs }: GamingWish, nowMs: number): DatedWish => ({
  mode,
  untilMs: leftMs === undefined ? untilMs : leftMs === null ? null : nowMs + leftMs,
  atMs: nowMs,
  toldUntilMs: untilMs,
});

/** The same wish after the clock was set. */
export const movedWish = (wish: DatedWish | null, byMs: number): DatedWish | null =>
  wish && { ...wish, untilMs: wish.untilMs === null ? null : wish.untilMs + byMs, atMs: wish.atMs + byMs };

export interface GamingFacts {
  /** Typed on the machine. */
  readonly owner: DatedWish | null;
  /** Sent by the coordinator. */
  readonly operator: DatedWish | null;
  /** The game that is being played, by detection. */
  readonly game: string | null;
  readonly policy: GamingPolicy;
  readonly nowMs: number;
  /** The wall clock where the machine stands; 0 is Sunday. */
  readonly local: { readonly weekday: number; readonly minute: number };
}

/**
 * Is gaming mode on, and why? Pure.
 *
 * 1. The newest wish that counts, the owner's or the operator's, if its time is not over. The owner's policy may ignore the operator.
 * 2. `auto`, and everything above when it has run out: quiet hours, then a detected game.
 *
 * A wish that has run out does not bring an older one back: nobody remembers it.
 */
export const decideGaming = (facts: GamingFacts): GamingReport => {
  const { policy, nowMs } = facts;
  const owners = {
    allowsForced: policy.forcedRequests === 'allow',
    obeysOperator: policy.operator === 'obey',
  };
  const newest = newestWish(facts);
  const isOver = newest !== null && newest.wish.untilMs !== null && newest.wish.untilMs <= nowMs;
  if (newest !== null && !isOver && newest.wish.mode !== 'auto') {
    const { mode, untilMs } = newest.wish;
    const isActive = mode === 'on';
    return { mode, setBy: newest.setBy, untilMs, isActive, cause: isActive ? newest.setBy : null, ...owners };
  }
  const asked =
    newest !== null && !isOver ? { setBy: newest.setBy, untilMs: newest.wish.untilMs } : { setBy: 'default', untilMs: null };
  const auto = { mode: 'auto' as const, setBy: asked.setBy, ...owners };
  const quiet = policy.quietHours
    .map((hours) => ({ hours, leftMinutes: minutesLeft(hours, facts.local) }))
    .find((q) => q.leftMinutes > 0);
  if (quiet) {
    const untilMs = startOfMinute(nowMs) + quiet.leftMinutes * 60_000;
    return { ...auto, untilMs, isActive: true, cause: `quiet hours ${quiet.hours.from}–${quiet.hours.to}` };
  }
  return { ...auto, untilMs: asked.untilMs, isActive: facts.game !== null, cause: facts.game };
};

const newestWish = ({ owner, operator, policy }: GamingFacts): { wish: DatedWish; setBy: 'owner' | 'operator' } | null => {
  const obeyed = policy.operator === 'obey' ? operator : null;
  if (owner && (!obeyed || owner.atMs >= obeyed.atMs)) return { wish: owner, setBy: 'owner' };
  return obeyed ? { wish: obeyed, setBy: 'operator' } : null;
};

const DAY_MINUTES = 24 * 60;

/** Minutes until these quiet hours end, 0 when they are not now. `from` equal to `to` is the whole day. */
export const minutesLeft = (hours: QuietHours, { weekday, minute }: GamingFacts['local']): number => {
  const from = minutesOf(hours.from);
  const to = minutesOf(hours.to);
  const lengthMinutes = (to - from + DAY_MINUTES) % DAY_MINUTES || DAY_MINUTES;
  const beganToday = minute >= from;
  const sinceMinutes = beganToday ? minute - from : minute - from + DAY_MINUTES;
  const day = WEEKDAYS[beganToday ? weekday : (weekday + 6) % 7];
  const isItsDay = hours.days === undefined || (day !== undefined && hours.days.includes(day));
  return isItsDay && sinceMinutes < lengthMinutes ? lengthMinutes - sinceMinutes : 0;
};

const minutesOf = (text: string): number => {
  const [hours = 0, minutes = 0] = text.split(':').map(Number);
  return hours * 60 + minutes;
};

const startOfMinute = (nowMs: number): number => nowMs - (nowMs % 60_000);

/** Wishes are told whole and again with every connection; only one that differs from the last is a new wish. */
export const isSameWish = (kept: DatedWish | null, told: GamingWish | undefined): boolean =>
  kept === null || told === undefined
    ? kept === null && told === undefined
    : kept.mode === told.mode && (kept.toldUntilMs === undefined ? kept.untilMs : kept.toldUntilMs) === told.untilMs;
