import type { FleetNode } from '@lai/shared/fleet-api';
import type { GamingReport, GamingWish } from '@lai/shared/node';
import { clock, countdown } from './format.ts';
import { gamingCause } from './node-state.ts';

export interface GamingState {
  /** What it is: the segment that is pressed. Null: not known. */
  readonly mode: GamingWish['mode'] | null;
  readonly isActive: boolean;
  /** What operators have asked for and the machine has not done: shown beside, never instead. */
  readonly asked: GamingWish['mode'] | null;
  readonly line: string;
  /** Why nothing can be asked here; null when it can. */
  readonly refusal: string | null;
}

/** Gaming as it is and as it was asked for, side by side. Pure. */
export const gamingState = (node: FleetNode, nowMs: number): GamingState => {
  const report = node.report?.gaming;
  const wish = node.entry.desired.gaming;
  const isAway = node.liveness === 'offline';
  const isWishOver = wish?.untilMs !== undefined && wish.untilMs !== null && wish.untilMs <= nowMs;
  if (!report) {
    const refusal = node.report ? 'This agent does not know gaming mode.' : 'It has never told what it does.';
    return { mode: null, isActive: false, asked: null, line: 'Gaming: not known', refusal };
  }
  const common = { mode: report.mode, isActive: report.isActive };
  if (report.obeysOperator === false)
    return { ...common, asked: null, line: line(report, nowMs), refusal: 'Only its owner switches this, at the machine.' };
  if (isAway) {
    const asked = wish && !isWishOver ? wish.mode : null;
    return {
      ...common,
      asked,
      line: asked ? `Will be told “${asked}” when it is back` : 'Away',
      refusal: 'It is told when it is back.',
    };
  }
  const hasWish = wish !== undefined && !isWishOver && wish.mode !== 'auto';
  // The owner's word at the machine may be newer than what operators asked for.
  const isOpen = hasWish && report.mode !== wish.mode && report.setBy !== 'owner';
  return { ...common, asked: isOpen ? wish.mode : null, line: line(report, nowMs), refusal: null };
};

const BY: Record<string, string> = { operator: 'by an operator', owner: 'set at the machine', default: '' };

const line = (report: GamingReport, nowMs: number): string => {
  const { mode, isActive, cause, untilMs, setBy } = report;
  const until = untilMs === null ? null : `until ${clock(untilMs, nowMs)} (${countdown(untilMs - nowMs)})`;
  const by = BY[setBy] ?? setBy;
  const words = (...parts: (string | null)[]): string => parts.filter((part) => part !== null && part !== '').join(' · ');
  if (mode === 'auto' && !isActive) return 'Auto: no game is running';
  if (mode === 'auto') return words('Gaming', gamingCause(cause), cause?.startsWith('quiet hours') ? null : 'detected', until);
  return mode === 'on' ? words('Gaming on', until ?? 'until somebody says otherwise', by) : words('Gaming off', until, by);
};
