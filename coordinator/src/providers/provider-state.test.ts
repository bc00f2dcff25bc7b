import type { ErrorCode } from '@lai/shared/errors';
import { describe, expect, it } from 'vitest';
import { cooldownMs, type HealthEvent, nextHealth, unknownHealth } from './provider-state.ts';

const answered = (latencyMs = 10): HealthEvent => ({ kind: 'answered', latencyMs });
const failed = (code: ErrorCode = 'provider_unreachable'): HealthEvent => ({ kind: 'failed', code, detail: 'no' });
const healthAfter = (...events: HealthEvent[]) => events.reduce(nextHealth, unknownHealth).health;

describe('nextHealth', () => {
  it.each<[string, HealthEvent[], string]>([
    ['nothing', [], 'unknown'],
    ['a success', [answered()], 'online'],
    ['a slow success', [answered(5_001)], 'degraded'],
    ['a failure', [answered(), failed()], 'degraded'],
    ['two failures', [failed(), failed()], 'degraded'],
    ['three failures in a row', [failed(), failed(), failed()], 'offline'],
    ['three failures with a success between', [failed(), failed(), answered(), failed()], 'degraded'],
    ['a success after being offline', [failed(), failed(), failed(), answered()], 'online'],
    ['a refused key', [answered(), failed('provider_auth_failed')], 'misconfigured'],
    ['a key that works again', [failed('provider_auth_failed'), answered()], 'online'],
    [
      'failures of requests',
      [answered(), failed('request_refused'), failed('context_length_exceeded'), failed('provider_rate_limited')],
      'online',
    ],
  ])('after %s is %s', (_name, events, health) => {
    expect(healthAfter(...events)).toBe(health);
  });
});

describe('cooldownMs', () => {
  it.each<[ErrorCode, number | null, number]>([
    ['provider_rate_limited', null, 5_000],
    ['provider_rate_limited', 34_000, 34_000],
    ['provider_rate_limited', 1e9, 3_600_000],
    ['provider_overloaded', null, 5_000],
    ['provider_quota_exhausted', 1_000, 600_000],
    ['provider_error', 1_000, 0],
    ['request_refused', null, 0],
  ])('is, after %s that asks for %j ms, %i', (code, retryAfterMs, ms) => {
    expect(cooldownMs(code, retryAfterMs)).toBe(ms);
  });
});
