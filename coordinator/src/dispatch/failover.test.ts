import type { ErrorCode } from '@lai/shared/errors';
import { describe, expect, it } from 'vitest';
import { type AfterFailure, afterFailure, MAX_ATTEMPTS } from './failover.ts';

const stop: AfterFailure = { kind: 'stop' };
/** Something was tried there and broke. */
const elsewhere: AfterFailure = { kind: 'again', excludesNode: true, countsAsAttempt: true, needsBudget: true, waitMs: 0 };
/** The machine or its engine went away: as many as were on it must move. */
const moved: AfterFailure = { ...elsewhere, needsBudget: false };
/** The node said no before it did anything. */
const soon: AfterFailure = { kind: 'again', excludesNode: false, countsAsAttempt: false, needsBudget: false, waitMs: 100 };

/** Of every code: what happens while nothing has reached the client and there is time. */
const table: Record<ErrorCode, AfterFailure> = {
  // The request's own fault: another node would say the same.
  invalid_json: stop,
  invalid_value: stop,
  invalid_header: stop,
  body_too_large: stop,
  body_too_deep: stop,
  unsupported_media_type: stop,
  route_not_found: stop,
  method_not_allowed: stop,
  model_not_found: stop,
  unsupported_operation: stop,
  capability_missing: stop,
  model_too_large: stop,
  context_length_exceeded: stop,
  request_refused: stop,
  request_quarantined: stop,
  job_not_found: stop,
  idempotency_mismatch: stop,
  job_unreadable: stop,
  invalid_api_key: stop,
  permission_denied: stop,
  sign_in_failed: stop,
  cross_site_refused: stop,
  model_not_allowed: stop,
  stays_home: stop,
  content_filtered: stop,
  // Of a provider, which has no second machine to try: the next step of the route is (dispatch/steps.ts).
  provider_rate_limited: elsewhere,
  provider_quota_exhausted: elsewhere,
  provider_auth_failed: elsewhere,
  provider_overloaded: elsewhere,
  provider_unreachable: elsewhere,
  provider_error: elsewhere,
  provider_capacity_exceeded: elsewhere,
  entry_not_found: stop,
  release_failed: stop,
  rate_limit_exceeded: stop,
  // Said by the coordinator about itself or about the whole fleet.
  no_capacity: stop,
  queue_full: stop,
  store_unavailable: stop,
  shutting_down: stop,
  deadline_exceeded: stop,
  // The client's doing.
  slow_reader: stop,
  canceled: stop,
  update_refused: stop,
  // The node said no.
  model_loading: soon,
  node_busy: soon,
  node_held: soon,
  engine_overloaded: { ...soon, waitMs: 500 },
  // The node broke.
  load_failed: elsewhere,
  node_lost: moved,
  accept_timeout: moved,
  preempted: moved,
  engine_unreachable: elsewhere,
  engine_crashed: moved,
  engine_error: elsewhere,
  out_of_memory: elsewhere,
  incomplete_answer: elsewhere,
  first_token_timeout: elsewhere,
  stall_timeout: elsewhere,
  internal_error: elsewhere,
};

const calm = { isCommitted: false, attempts: 1, msLeft: 10_000 };

describe.each(Object.entries(table) as [ErrorCode, AfterFailure][])('after %s', (code, expected) => {
  it(`it is ${expected.kind} while nothing has reached the client`, () => {
    expect(afterFailure({ code, ...calm })).toEqual(expected);
  });

  it('nothing is tried again once a byte of content has reached the client', () => {
    for (const attempts of [1, 2, MAX_ATTEMPTS, 9]) {
      expect(afterFailure({ code, ...calm, attempts, isCommitted: true })).toEqual(stop);
    }
  });

  it('nothing is tried again when the time is up', () => {
    for (const msLeft of [0, -1]) expect(afterFailure({ code, ...calm, msLeft })).toEqual(stop);
    expect(afterFailure({ code, ...calm, msLeft: 1 })).toEqual(expected);
  });

  it.each([
    [1, true],
    [MAX_ATTEMPTS - 1, true],
    [MAX_ATTEMPTS, false],
    [MAX_ATTEMPTS + 1, false],
  ])('after %i attempts another one is allowed: %j, where attempts count', (attempts, isAllowed) => {
    const counts = expected.kind === 'again' && expected.countsAsAttempt;
    expect(afterFailure({ code, ...calm, attempts })).toEqual(counts && !isAllowed ? stop : expected);
  });
});

describe('failover', () => {
  it('gives a request two more chances and no more', () => {
    expect(MAX_ATTEMPTS).toBe(3);
  });
});
