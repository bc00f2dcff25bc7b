/** What is known of one owned engine when we ask whether it hangs. Times are of one monotonic clock. */
export interface EngineHealth {
  readonly nowMs: number;
  /** Last byte of any answer; null when there was none yet. */
  readonly lastTokenAtMs: number | null;
  readonly inFlight: number;
  /** A load may take minutes without a sign of life. */
  readonly isLoading: boolean;
  /** Since when it has answered no question about itself; null when it does. */
  readonly silentSinceMs: number | null;
  /** Attempts that ended without a token in time, since the last one that worked. */
  readonly stalls: number;
  /** A model that is warm and can chat: the only kind that can be asked for a token. */
  readonly warmChatModel: string | null;
  /** Outcome of the last probe after the last stall. */
  readonly probe: 'none' | 'running' | 'answered' | 'failed';
  /** When each cause last led to a restart. */
  readonly restartedAtMs: Readonly<Partial<Record<WatchdogCause, number>>>;
}

export type WatchdogCause = 'silent' | 'stalled';

export type WatchdogVerdict =
  | { readonly kind: 'leave'; readonly why: string }
  | { readonly kind: 'probe'; readonly model: string }
  | { readonly kind: 'restart'; readonly cause: WatchdogCause; readonly reason: string };

/** Tokens that came this recently mean that it lives, whatever else it does not answer. */
export const FLOW_MS = 30_000;
const SILENT_FOR_MS = 45_000;
const STALLS = 2;
/** A restart that did not help will not help again soon; an engine that is restarted every minute serves nobody. */
export const COOLDOWN_MS = 10 * 60_000;

/**
 * Is this engine to be restarted? Pure. It is never killed while tokens flow or a model loads, a stalled one is asked for one token
 * first, and each cause waits out its own cooldown.
 */
export const watchdogVerdict = (health: EngineHealth): WatchdogVerdict => {
  const leave = (why: string): WatchdogVerdict => ({ kind: 'leave', why });
  if (health.lastTokenAtMs !== null && health.nowMs - health.lastTokenAtMs < FLOW_MS) return leave('tokens flow');
  if (health.isLoading) return leave('a model is being loaded');
  const isCooling = (cause: WatchdogCause) => {
    const atMs = health.restartedAtMs[cause];
    return atMs !== undefined && health.nowMs - atMs < COOLDOWN_MS;
  };
  if (health.silentSinceMs !== null && health.nowMs - health.silentSinceMs >= SILENT_FOR_MS) {
    if (isCooling('silent')) return leave('it was restarted for this a short while ago');
    const seconds = Math.round((health.nowMs - health.silentSinceMs) / 1_000);
    return { kind: 'restart', cause: 'silent', reason: `it has answered nothing for ${seconds} s` };
  }
  if (health.stalls < STALLS) return leave('nothing is suspicious');
  if (health.inFlight > 0) return leave('requests are running on it');
  switch (health.probe) {
    case 'running':
      return leave('a probe is under way');
    case 'answered':
      return leave('it answers');
    case 'none':
      return health.warmChatModel === null ? leave('no warm model can be asked') : { kind: 'probe', model: health.warmChatModel };
    case 'failed':
      return isCooling('stalled')
        ? leave('it was restarted for this a short while ago')
        : {
            kind: 'restart',
            cause: 'stalled',
            reason: `${health.stalls} requests in a row got no token, and neither did a probe`,
          };
  }
};
