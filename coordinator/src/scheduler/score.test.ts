import type { LoadedModel, ModelState } from '@lai/shared/node';
import { describe, expect, it } from 'vitest';
import { GIB, gpu, model, NOW_MS, type NodeFacts, node } from './__fixtures__/fleet.ts';
import { type Action, actionFor, freeSlots, type Score, scoreOf, totalMs } from './score.ts';

const at = (facts: Partial<LoadedModel>, around: NodeFacts = {}) => {
  const loaded = model('m', facts);
  return { loaded, here: node('a', [loaded], around) };
};
const score = (
  facts: Partial<LoadedModel>,
  around: NodeFacts = {},
  { queued = 0, waitedMs = 0, affinity = null as string | null, contextTokens = 0 } = {},
): Score => {
  const { loaded, here } = at(facts, around);
  return scoreOf(here, loaded, { queued, waitedMs, affinity, target: { contextTokens }, nowMs: NOW_MS });
};

describe('free slots', () => {
  it.each<[string, Partial<LoadedModel>, NodeFacts, number]>([
    ['are all of a model nobody uses', { slots: 4 }, {}, 4],
    ['are fewer by those that are leased', { slots: 4 }, { leased: { m: 3 } }, 1],
    ['are not fewer by what runs on other models', { slots: 4 }, { leased: { n: 3 } }, 4],
    ['are never more than the machine has left', { slots: 4 }, { leased: { n: 3 }, snapshot: { maxConcurrent: 4 } }, 1],
    ['are none when the machine is full', { slots: 4 }, { leased: { n: 4 }, snapshot: { maxConcurrent: 4 } }, 0],
    ['do not count what the last snapshot counted', { slots: 4, inFlight: 4 }, { snapshot: { inFlight: 16 } }, 4],
    ['are none a moment after one was refused', { slots: 4 }, { isContested: (id) => id === 'm' }, 0],
  ])('%s', (_, facts, around, free) => {
    const { loaded, here } = at(facts, around);
    expect(freeSlots(here, loaded)).toBe(free);
  });
});

describe('what can be done this moment', () => {
  const table: Record<ModelState, { free: Action; full: Action }> = {
    warm: { free: 'run', full: 'wait' },
    loading: { free: 'wait', full: 'wait' },
    cold: { free: 'load', full: 'load' },
    failed: { free: 'load', full: 'load' },
    // Refused before it comes to this.
    draining: { free: 'load', full: 'load' },
    unloading: { free: 'load', full: 'load' },
  };

  it.each(Object.entries(table) as [ModelState, { free: Action; full: Action }][])('with a model that is %s', (state, action) => {
    const free = at({ state });
    expect(actionFor(free.here, free.loaded)).toBe(action.free);
    const full = at({ state }, { leased: { m: 1 } });
    expect(actionFor(full.here, full.loaded)).toBe(action.full);
  });

  it('is waiting for a load that was asked for, whatever the last snapshot says', () => {
    for (const state of ['cold', 'failed', 'warm'] as const) {
      const { loaded, here } = at({ state }, { loading: new Map([['m', NOW_MS]]) });
      expect(actionFor(here, loaded)).toBe('wait');
    }
  });
});

describe('a long prompt', () => {
  const figures = { m: { firstContentMs: 400, prefillTokensPerSecond: 1_000 } };
  it.each<[string, number, Partial<typeof figures.m>, number]>([
    ['takes as long as the node reads', 32_000, {}, 32_000],
    ['is nothing special while it is short', 0, {}, 400],
    [
      'takes what prompts usually take where nobody knows how fast the node reads',
      32_000,
      { prefillTokensPerSecond: null as never },
      400,
    ],
  ])('%s', (_, contextTokens, change, prefillMs) => {
    expect(score({}, { figures: { m: { ...figures.m, ...change } } }, { contextTokens }).prefillMs).toBe(prefillMs);
  });

  it('is spared where the conversation was answered before', () => {
    const around = { figures };
    const { prefillMs, affinityMs } = score({ state: 'warm' }, around, { contextTokens: 32_000, affinity: 'node_a' });
    expect(prefillMs + affinityMs).toBeCloseTo(0.2 * 32_000);
  });
});

describe('the time to the first token', () => {
  const nothing: Score = { waitMs: 0, loadMs: 0, evictMs: 0, spillMs: 0, prefillMs: 1_000, crowdMs: 0, affinityMs: 0 };

  it('of a warm and free model is its prefill', () => {
    expect(score({})).toEqual(nothing);
    expect(score({}, { figures: { m: { firstContentMs: 80 } } })).toEqual({ ...nothing, prefillMs: 80 });
  });

  it('of a cold model is a load on top, by its size until one was measured', () => {
    expect(score({ state: 'cold', sizeBytes: 5e9 }).loadMs).toBe(10_000);
    expect(score({ state: 'cold', sizeBytes: null }).loadMs).toBe(10_000);
    expect(score({ state: 'failed', sizeBytes: 1e9 }).loadMs).toBe(2_000);
    expect(score({ state: 'cold', sizeBytes: 5e9 }, { figures: { m: { loadMs: 700 } } }).loadMs).toBe(700);
  });

  it('of a model that is being loaded is half of a load on average', () => {
    expect(score({ state: 'loading', sizeBytes: 5e9 }).loadMs).toBe(5_000);
    expect(score({ state: 'cold', sizeBytes: 5e9 }, { loading: new Map([['m', NOW_MS]]) }).loadMs).toBe(5_000);
  });

  it('of a model that is being loaded is at least what that has taken already', () => {
    const since = (ms: number) => ({ loading: new Map([['m', NOW_MS - ms]]) });
    expect(score({ state: 'cold', sizeBytes: 5e9 }, since(4_000)).loadMs).toBe(5_000);
    expect(score({ state: 'cold', sizeBytes: 5e9 }, since(80_000)).loadMs).toBe(80_000);
  });

  it('of a model that has to be loaded counts the loads that its node is at', () => {
    const loaded = model('m', { state: 'cold', sizeBytes: GIB });
    const waitMs = (loading: ReadonlyMap<string, number>) => {
      const here = node('a', [loaded, model('n', { state: 'cold', sizeBytes: 5e9 })], { loading });
      return scoreOf(here, loaded, { queued: 0, affinity: null, target: { contextTokens: 0 }, nowMs: NOW_MS }).waitMs;
    };
    expect(waitMs(new Map())).toBe(0);
    expect(waitMs(new Map([['n', NOW_MS]]))).toBe(5_000);
    expect(waitMs(new Map([['n', NOW_MS - 8_000]]))).toBe(8_000);
  });

  it.each([
    [1, 0, 5_000],
    [1, 2, 25_000],
    [4, 0, 1_250],
    [4, 3, 8_750],
  ])('of a full model with %i slots and %i in the queue is %i ms of waiting more', (slots, queued, waitMs) => {
    expect(score({ slots }, { leased: { m: slots } }, { queued }).waitMs).toBe(waitMs);
    expect(score({ slots }, {}, { queued }).waitMs).toBe(0);
  });

  it('of a full model is at least what the first in line has waited already', () => {
    const full = [{ slots: 2 }, { leased: { m: 2 } }] as const;
    const usual = score(...full).waitMs;
    expect(score(...full, { waitedMs: usual / 2 }).waitMs).toBe(usual);
    expect(score(...full, { waitedMs: usual * 3 }).waitMs).toBe(usual * 3);
    expect(score({ slots: 2 }, {}, { waitedMs: usual * 3 }).waitMs).toBe(0);
  });

  it('of a full model is less where answers are known to be short', () => {
    expect(score({}, { leased: { m: 1 }, figures: { m: { attemptMs: 200 } } }).waitMs).toBe(100);
  });

  it('grows with every neighbour on the model', () => {
    expect([0, 1, 2, 3].map((m) => score({ slots: 4 }, { leased: { m } }).crowdMs)).toEqual([0, 250, 500, 750]);
    expect(score({ slots: 4 }, { leased: { m: 4 } }).crowdMs).toBe(0);
  });

  it('is longer when another model must go first', () => {
    const old = model('old', { sizeBytes: 6 * GIB });
    const around = (freeGib: number): NodeFacts => ({
      snapshot: { gpus: [gpu({ vramFreeBytes: freeGib * GIB })], models: [model('m'), old] },
    });
    expect(score({ state: 'cold' }, around(1)).evictMs).toBe(1_500);
    expect(score({ state: 'cold' }, around(8)).evictMs).toBe(0);
    for (const state of ['warm', 'loading'] as const) expect(score({ state }, around(1)).evictMs).toBe(0);
  });

  it('is shorter where the conversation was answered before, if the model is still warm there', () => {
    expect(score({}, {}, { affinity: 'node_a' })).toEqual({ ...nothing, affinityMs: -800 });
    expect(score({}, {}, { affinity: 'node_b' }).affinityMs).toBe(0);
    expect(score({ state: 'cold' }, {}, { affinity: 'node_a' }).affinityMs).toBeCloseTo(0);
  });

  it('is the sum of its parts', () => {
    expect(
      totalMs({ waitMs: 1, loadMs: 20, evictMs: 300, spillMs: 600_000, prefillMs: 4_000, crowdMs: 50_000, affinityMs: -1 }),
    ).toBe(654_320);
  });
});
