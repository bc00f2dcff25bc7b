import { pino } from 'pino';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { PreemptionAction, PreemptionFacts } from './preemption.ts';
import { Preemptor } from './preemptor.ts';

const setUp = (change: Partial<PreemptionFacts> = {}) => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const facts: { -readonly [Key in keyof PreemptionFacts]: PreemptionFacts[Key] } = {
    isHeld: true,
    inFlight: 0,
    forcedInFlight: 0,
    isUsedAgain: false,
    loadedModels: 1,
    memory: 'unknown',
    canStopEngines: true,
    areEnginesStopped: false,
    ...change,
  };
  const actions: PreemptionAction[] = [];
  const watching: boolean[] = [];
  const preemptor = new Preemptor(
    {
      facts: () => facts,
      policy: () => ({ whileBusy: 'finish', graceMs: 1_000, stopEngineAfterMs: 2_500 }),
      act: (action) => {
        actions.push(action);
        // What is done may come back as news at once.
        preemptor.poke();
      },
      watchMemory: (isWatching) => watching.push(isWatching),
      changed: () => {},
    },
    pino({ level: 'silent' }),
  );
  onTestFinished(() => preemptor.close());
  return { facts, actions, watching, preemptor };
};

describe('giving the GPU back', () => {
  it('goes from step to step by itself, and tells them', () => {
    const { facts, actions, preemptor } = setUp({ inFlight: 1 });
    preemptor.poke();
    expect(preemptor.step).toBe('finishing');
    vi.advanceTimersByTime(1_100);
    expect(actions).toEqual(['cancel-attempts']);
    facts.inFlight = 0;
    vi.advanceTimersByTime(100);
    facts.loadedModels = 0;
    vi.advanceTimersByTime(100);
    facts.memory = 'free';
    vi.advanceTimersByTime(100);
    expect(preemptor.report()?.steps.map(({ step }) => step)).toEqual([
      'finishing',
      'canceling',
      'unloading',
      'verifying',
      'freed',
    ]);
    expect(actions).toEqual(['cancel-attempts', 'unload-models']);
  });

  it('reads the GPU often only while it has to know', () => {
    const { facts, watching, preemptor } = setUp();
    preemptor.poke();
    facts.loadedModels = 0;
    facts.memory = 'free';
    preemptor.poke();
    expect([watching[0], watching.at(-1)]).toEqual([true, false]);
  });

  it('runs no timer when nothing is under way', () => {
    const { facts, actions, preemptor } = setUp();
    preemptor.poke();
    facts.isHeld = false;
    preemptor.poke();
    expect(preemptor.step).toBe('idle');
    expect(preemptor.report()).toBeNull();
    expect(actions).toEqual(['unload-models', 'return']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('ends with the agent', () => {
    const { preemptor } = setUp();
    preemptor.poke();
    preemptor.close();
    expect(vi.getTimerCount()).toBe(0);
  });
});
