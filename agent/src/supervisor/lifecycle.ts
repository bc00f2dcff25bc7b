import { backoffMs } from '@lai/shared/backoff';

/**
 * The life of one engine, as data. Pure: state, event, time and chance in, next state out. The supervisor acts on what it entered.
 *
 * Owned (we start it, we stop it):
 *
 *   stopped ──start──► starting ──answered──► ready ◄─answered─ silent
 *      ▲                  │                     │ └──silent──────▲ │
 *      │                  └──────── exited ─────┴──────────────────┘
 *      │                               ▼
 *      │      due ┌────────────── backoff ──(too many in the window)──► quarantined ──due, start──► starting
 *      │          ▼
 *   stopping ◄─stop, hung── starting, ready, silent        stopping ──exited──► stopped, or starting again when it is still wanted
 *
 * Adopted (somebody else's: observed, never started, never stopped):
 *
 *   absent ──answered──► ready ──silent──► away ──answered──► ready
 */
export type Phase =
  | 'stopped'
  | 'starting'
  | 'ready'
  | 'silent'
  | 'stopping'
  | 'backoff'
  | 'quarantined'
  /** Adopted, never seen. */
  | 'absent'
  /** Adopted, seen before and gone now. */
  | 'away';

export interface Lifecycle {
  readonly phase: Phase;
  readonly sinceMs: number;
  /** Should it run? What a stop and a start in quick succession come to is decided by this. */
  readonly isWanted: boolean;
  /** When it died without being told to, within the window; oldest first. */
  readonly deathsAtMs: readonly number[];
  /** When `due` comes; null in phases that wait for nothing. */
  readonly dueAtMs: number | null;
  /** Why it is not ready, for people. */
  readonly reason: string | null;
  readonly version: string | null;
}

export type LifecycleEvent =
  | { readonly kind: 'start' }
  | { readonly kind: 'stop'; readonly reason: string }
  | { readonly kind: 'answered'; readonly version: string | null }
  | { readonly kind: 'silent'; readonly reason: string }
  | { readonly kind: 'exited'; readonly how: string }
  /** The watchdog is sure that it hangs. */
  | { readonly kind: 'hung'; readonly reason: string }
  | { readonly kind: 'due' };

export interface LifecycleLimits {
  readonly crashWindowMs: number;
  readonly crashCap: number;
  readonly quarantineMs: number;
  readonly backoffBaseMs: number;
  readonly backoffCapMs: number;
}

/** Five deaths in ten minutes are no accident; half an hour later one more try costs little. */
export const LIFECYCLE_LIMITS: LifecycleLimits = {
  crashWindowMs: 10 * 60_000,
  crashCap: 5,
  quarantineMs: 30 * 60_000,
  backoffBaseMs: 500,
  backoffCapMs: 60_000,
};

export const initialLifecycle = (mode: 'adopted' | 'owned', nowMs: number): Lifecycle => ({
  phase: mode === 'owned' ? 'stopped' : 'absent',
  sinceMs: nowMs,
  isWanted: false,
  deathsAtMs: [],
  dueAtMs: null,
  reason: null,
  version: null,
});

export const nextLifecycle = (
  life: Lifecycle,
  event: LifecycleEvent,
  { nowMs, random, limits = LIFECYCLE_LIMITS }: { nowMs: number; random: number; limits?: LifecycleLimits },
): Lifecycle => {
  const enter = (phase: Phase, change: Partial<Lifecycle> = {}): Lifecycle => ({
    ...life,
    dueAtMs: null,
    reason: null,
    ...change,
    phase,
    sinceMs: phase === life.phase ? life.sinceMs : nowMs,
  });

  switch (event.kind) {
    case 'start':
      switch (life.phase) {
        case 'stopped':
        case 'quarantined':
          return enter('starting', { isWanted: true, deathsAtMs: [] });
        case 'stopping':
          return { ...life, isWanted: true };
        default:
          return life;
      }
    case 'stop':
      switch (life.phase) {
        case 'starting':
        case 'ready':
        case 'silent':
          return enter('stopping', { isWanted: false, reason: event.reason });
        case 'backoff':
        case 'quarantined':
          return enter('stopped', { isWanted: false, reason: event.reason });
        case 'stopping':
          return { ...life, isWanted: false, reason: event.reason };
        default:
          return life;
      }
    case 'answered':
      switch (life.phase) {
        case 'starting':
        case 'silent':
        case 'ready':
        case 'absent':
        case 'away':
          return enter('ready', { version: event.version ?? life.version });
        default:
          return life;
      }
    case 'silent':
      switch (life.phase) {
        case 'ready':
          return life.isWanted ? enter('silent', { reason: event.reason }) : enter('away', { reason: event.reason });
        default:
          return life;
      }
    case 'exited':
      switch (life.phase) {
        case 'stopping':
          return life.isWanted ? enter('starting') : enter('stopped', { reason: life.reason });
        case 'starting':
        case 'ready':
        case 'silent':
          return afterDeath(life, event.how, enter, { nowMs, random, limits });
        default:
          return life;
      }
    case 'hung':
      switch (life.phase) {
        case 'ready':
        case 'silent':
          return life.isWanted ? enter('stopping', { reason: event.reason }) : life;
        default:
          return life;
      }
    case 'due':
      switch (life.phase) {
        case 'backoff':
          return enter('starting');
        case 'quarantined':
          // One more try; the next death within the window sends it straight back.
          return enter('starting', { deathsAtMs: life.deathsAtMs.slice(1).map(() => nowMs) });
        default:
          return life;
      }
  }
};

const afterDeath = (
  life: Lifecycle,
  how: string,
  enter: (phase: Phase, change: Partial<Lifecycle>) => Lifecycle,
  { nowMs, random, limits }: { nowMs: number; random: number; limits: LifecycleLimits },
): Lifecycle => {
  const deathsAtMs = [...life.deathsAtMs.filter((atMs) => nowMs - atMs < limits.crashWindowMs), nowMs];
  if (deathsAtMs.length >= limits.crashCap) {
    const minutes = Math.round(limits.crashWindowMs / 60_000);
    return enter('quarantined', {
      deathsAtMs,
      dueAtMs: nowMs + limits.quarantineMs,
      reason: `it died ${deathsAtMs.length} times within ${minutes} minutes and is left alone for now; last: ${how}`,
    });
  }
  const waitMs = backoffMs(deathsAtMs.length, random, { baseMs: limits.backoffBaseMs, capMs: limits.backoffCapMs });
  return enter('backoff', { deathsAtMs, dueAtMs: nowMs + waitMs, reason: `${how}; starting it again` });
};
