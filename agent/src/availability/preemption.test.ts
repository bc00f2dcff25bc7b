import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  idlePreemption,
  nextPreemption,
  type PreemptionAction,
  type PreemptionFacts,
  type PreemptionPolicy,
  type PreemptionState,
  type PreemptionStep,
} from './preemption.ts';

const POLICY: PreemptionPolicy = { whileBusy: 'finish', graceMs: 10_000, stopEngineAfterMs: 2_500 };
const quiet: PreemptionFacts = {
  isHeld: true,
  inFlight: 0,
  forcedInFlight: 0,
  isUsedAgain: false,
  loadedModels: 0,
  memory: 'free',
  canStopEngines: true,
  areEnginesStopped: false,
};
const at = (step: PreemptionStep, freeingSinceMs: number | null = null): PreemptionState => ({
  step,
  sinceMs: 0,
  freeingSinceMs,
  detail: null,
});

describe('giving the GPU back', () => {
  it.each<[string, PreemptionState, Partial<PreemptionFacts>, number, PreemptionStep, PreemptionAction | null]>([
    ['does nothing without a hold', idlePreemption, { isHeld: false }, 0, 'idle', null],
    ['unloads at once when nothing runs', idlePreemption, { loadedModels: 2 }, 0, 'unloading', 'unload-models'],
    ['lets running requests finish', idlePreemption, { inFlight: 2 }, 0, 'finishing', null],
    ['waits for them', at('finishing'), { inFlight: 1 }, 9_999, 'finishing', null],
    ['unloads when they are done', at('finishing'), {}, 3_000, 'unloading', 'unload-models'],
    ['cuts them short when the grace is over', at('finishing'), { inFlight: 1 }, 10_000, 'canceling', 'cancel-attempts'],
    ['waits a moment for them to end', at('canceling'), { inFlight: 1 }, 499, 'canceling', null],
    ['does not wait longer for one that does not', at('canceling'), { inFlight: 1 }, 500, 'unloading', 'unload-models'],
    ['waits for the unload', at('unloading', 0), { loadedModels: 1 }, 2_499, 'unloading', null],
    ['then for the proof', at('unloading', 0), {}, 100, 'verifying', null],
    ['is done when the GPU says so', at('verifying', 0), {}, 200, 'freed', null],
    ['does not believe the engine against the GPU', at('verifying', 0), { memory: 'held' }, 2_499, 'verifying', null],
    ['stops an engine that does not unload', at('unloading', 0), { loadedModels: 1 }, 2_500, 'stopping_engine', 'stop-engines'],
    ['stops an engine that only says it did', at('verifying', 0), { memory: 'held' }, 2_500, 'stopping_engine', 'stop-engines'],
    ['cannot stop somebody else’s', at('verifying', 0), { memory: 'held', canStopEngines: false }, 2_500, 'stuck', null],
    ['takes the engine’s word where no GPU tells', at('verifying', 0), { memory: 'unknown' }, 1_000, 'freed', null],
    ['waits a moment for a reading first', at('verifying', 0), { memory: 'unknown' }, 999, 'verifying', null],
    ['is done when the stopped engine’s memory is free', at('stopping_engine'), { areEnginesStopped: true }, 300, 'freed', null],
    ['waits for the engine to stop', at('stopping_engine'), {}, 4_999, 'stopping_engine', null],
    [
      'gives up on memory that outlives its engine',
      at('stopping_engine'),
      { areEnginesStopped: true, memory: 'held' },
      5_000,
      'stuck',
      null,
    ],
    ['is watched when it is stuck', at('stuck'), { memory: 'held' }, 60_000, 'stuck', null],
    ['may come right later', at('stuck'), {}, 60_000, 'freed', null],
    ['stays free', at('freed'), {}, 60_000, 'freed', null],
    [
      'leaves a forced request its model',
      at('freed'),
      { isUsedAgain: true, forcedInFlight: 1, loadedModels: 1 },
      9,
      'freed',
      null,
    ],
    ['is done again after it', at('freed'), { isUsedAgain: true, loadedModels: 1 }, 9, 'unloading', 'unload-models'],
    ['leaves what its owner loads himself', at('freed'), { loadedModels: 1 }, 9, 'freed', null],
    ['returns when the hold goes', at('freed'), { isHeld: false }, 9, 'returning', 'return'],
    ['returns in the middle of it', at('finishing'), { isHeld: false, inFlight: 1 }, 9, 'returning', 'return'],
    ['is idle then', at('returning'), { isHeld: false }, 9, 'idle', null],
    ['begins anew when the hold is back', at('returning'), { inFlight: 1 }, 9, 'finishing', null],
  ])('%s', (_, state, change, nowMs, step, action) => {
    const move = nextPreemption(state, { ...quiet, ...change }, POLICY, nowMs);
    expect([move.state.step, move.action]).toEqual([step, action]);
  });

  it('cuts short at once when the policy says so', () => {
    const busy = { ...quiet, inFlight: 3 };
    expect(nextPreemption(idlePreemption, busy, { ...POLICY, whileBusy: 'cancel' }, 0).action).toBe('cancel-attempts');
    expect(nextPreemption(idlePreemption, busy, { ...POLICY, graceMs: 0 }, 0).action).toBe('cancel-attempts');
  });

  it('counts one limit for unloading and proving', () => {
    const late = nextPreemption({ ...at('verifying', 0), sinceMs: 2_400 }, { ...quiet, memory: 'held' }, POLICY, 2_500);
    expect(late.state.step).toBe('stopping_engine');
  });

  it('ends idle after any turns of the hold, and never acts while there is none', () => {
    const turn = fc.record({
      isHeld: fc.boolean(),
      inFlight: fc.integer({ min: 0, max: 2 }),
      loadedModels: fc.integer({ min: 0, max: 2 }),
      memory: fc.constantFrom<PreemptionFacts['memory'][]>('free', 'held', 'unknown'),
      waitMs: fc.integer({ min: 0, max: 12_000 }),
    });
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 100 }), (turns) => {
        let state = idlePreemption;
        let nowMs = 0;
        const act = (facts: PreemptionFacts) => {
          const move = nextPreemption(state, facts, POLICY, nowMs);
          state = move.state;
          if (!facts.isHeld) expect([null, 'return']).toContain(move.action);
        };
        for (const { waitMs, ...change } of turns) {
          nowMs += waitMs;
          act({ ...quiet, ...change });
        }
        act({ ...quiet, isHeld: false });
        act({ ...quiet, isHeld: false });
        expect(state.step).toBe('idle');
      }),
    );
  });
});
