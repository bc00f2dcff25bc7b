import type { ErrorCode } from '@lai/shared/errors';

/**
 * unknown ── success ──► online ── failure ──► degraded ── third in a row ──► offline
 *    any ── 401, 403 ──► misconfigured            any ── success ──► online, or degraded when it took long
 */
export type ProviderHealth = 'unknown' | 'online' | 'degraded' | 'offline' | 'misconfigured';

export interface HealthState {
  readonly health: ProviderHealth;
  readonly failuresInRow: number;
  readonly latencyMs: number | null;
  /** Sentence of the last failure; null while all is well. */
  readonly detail: string | null;
}

export const unknownHealth: HealthState = { health: 'unknown', failuresInRow: 0, latencyMs: null, detail: null };

const SLOW_MS = 5_000;
const OFFLINE_AFTER = 3;

export type HealthEvent =
  | { readonly kind: 'answered'; readonly latencyMs: number }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly detail: string };

/** Pure. Health checks and the requests of clients are told alike. */
export const nextHealth = (state: HealthState, event: HealthEvent): HealthState => {
  if (event.kind === 'answered') {
    const health = event.latencyMs > SLOW_MS ? 'degraded' : 'online';
    const detail = health === 'degraded' ? `answered after ${Math.round(event.latencyMs)} ms` : null;
    return { health, failuresInRow: 0, latencyMs: event.latencyMs, detail };
  }
  const { code, detail } = event;
  if (code === 'provider_auth_failed') return { ...state, health: 'misconfigured', detail };
  if (!ITS_OWN.has(code)) return state;
  const failuresInRow = state.failuresInRow + 1;
  return { ...state, health: failuresInRow >= OFFLINE_AFTER ? 'offline' : 'degraded', failuresInRow, detail };
};

/** Failures that say something about the provider, and not about the request or the account. */
const ITS_OWN: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'provider_unreachable',
  'provider_error',
  'provider_overloaded',
  'incomplete_answer',
  'first_token_timeout',
  'stall_timeout',
]);

const COOLDOWN_MS = 5_000;
const QUOTA_COOLDOWN_MS = 10 * 60_000;
const LONGEST_COOLDOWN_MS = 60 * 60_000;

/** How long the provider, or this model of it, is left alone after a failure; 0 when it is not. Pure. */
export const cooldownMs = (code: ErrorCode, retryAfterMs: number | null): number => {
  switch (code) {
    case 'provider_rate_limited':
    case 'provider_overloaded':
      return Math.min(LONGEST_COOLDOWN_MS, retryAfterMs ?? COOLDOWN_MS);
    case 'provider_quota_exhausted':
      return Math.min(LONGEST_COOLDOWN_MS, Math.max(retryAfterMs ?? 0, QUOTA_COOLDOWN_MS));
    default:
      return 0;
  }
};
