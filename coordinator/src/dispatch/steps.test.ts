import { describe, expect, it } from 'vitest';
import type { RefusalReason } from '../scheduler/filters.ts';
import type { Candidate, Placement } from '../scheduler/place.ts';
import { leavesStep, whyLeave } from './steps.ts';

const refusal = (reason: RefusalReason, detail = 'gaming (detected)') => ({
  nodeId: 'a',
  nodeName: 'attic',
  model: 'm',
  reason,
  detail,
});
const candidate = (action: Candidate['action'], waitMs = 0): Candidate => ({
  ...{
    nodeId: 'a',
    nodeName: 'attic',
    epoch: 1,
    model: 'm',
    action,
    expectedMs: waitMs,
    isForced: false,
    nodeSlots: 1,
    modelSlots: 1,
  },
  score: { waitMs, loadMs: 0, evictMs: 0, spillMs: 0, prefillMs: 0, crowdMs: 0, affinityMs: 0 },
});
const placement = (
  decision: Placement['decision'],
  candidates: Candidate[] = [],
  refusals: ReturnType<typeof refusal>[] = [],
): Placement => ({
  decision,
  candidates,
  refusals,
});

describe('whyLeave', () => {
  const run = candidate('run');
  it.each<[string, Placement, number | null, string | null]>([
    ['runs at once', placement({ kind: 'run', candidate: run }, [run]), 8_000, null],
    ['waits less than it may', placement({ kind: 'wait' }, [candidate('wait', 8_000)]), 8_000, null],
    ['would wait longer', placement({ kind: 'wait' }, [candidate('wait', 8_001)]), 8_000, 'busy'],
    [
      'would load for longer',
      placement({ kind: 'load', candidate: candidate('load', 9_000) }, [candidate('load', 9_000)]),
      8_000,
      'loading',
    ],
    ['may wait for as long as it takes', placement({ kind: 'wait' }, [candidate('wait', 90_000)]), null, null],
    ['is held', placement({ kind: 'wait' }, [], [refusal('held')]), 8_000, 'gaming'],
    [
      'is held or away',
      placement({ kind: 'wait' }, [], [refusal('offline', 'not connected'), refusal('held', 'draining (operator)')]),
      8_000,
      'draining',
    ],
    ['is away', placement({ kind: 'wait' }, [], [refusal('offline', 'not connected')]), 8_000, 'offline'],
    [
      'is held while another machine is only cooling',
      placement({ kind: 'wait' }, [], [refusal('held'), refusal('cooling')]),
      8_000,
      null,
    ],
    ['has no machine outside other steps', placement({ kind: 'wait' }, [], [refusal('not_in_step', '')]), 8_000, 'offline'],
    ['can never serve', placement({ kind: 'never', code: 'capability_missing' }), 8_000, 'capability_missing'],
    ['fails to load', placement({ kind: 'failing', code: 'load_failed' }), 8_000, 'load_failed'],
  ])('a step that %s', (_name, asked, spillAfterMs, reason) => {
    expect(whyLeave(asked, spillAfterMs)?.reason ?? null).toBe(reason);
  });
});

describe('leavesStep', () => {
  it.each([
    'no_capacity',
    'node_lost',
    'model_not_found',
    'context_length_exceeded',
    'provider_rate_limited',
    'store_unavailable',
  ] as const)('goes on after %s', (code) => {
    expect(leavesStep(code)).toBe(true);
  });

  it.each([
    'canceled',
    'deadline_exceeded',
    'request_refused',
    'request_quarantined',
    'content_filtered',
    'shutting_down',
  ] as const)('ends the request after %s', (code) => {
    expect(leavesStep(code)).toBe(false);
  });
});
