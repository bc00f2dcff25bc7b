import type { LoadedModel, NodeSnapshot } from '@lai/shared/node';
import { describe, expect, it } from 'vitest';
import { GIB, gpu, model, NOW_MS, type NodeFacts, node, snapshot } from './__fixtures__/fleet.ts';
import { fitOf, mostRoomOf } from './fit.ts';

const cold = (sizeGib: number | null) => model('new', { state: 'cold', sizeBytes: sizeGib === null ? null : sizeGib * GIB });
const freeGpu = (freeGib: number | null, totalGib: number | null = 8) =>
  gpu({
    vramTotalBytes: totalGib === null ? null : totalGib * GIB,
    vramFreeBytes: freeGib === null ? null : freeGib * GIB,
  });
const lost = (totalGib: number) => ({ ...freeGpu(null, totalGib), id: 'lost', isLost: true });
const unified = (freeGib: number | null, totalGib: number) => ({ ...freeGpu(freeGib, totalGib), isUnifiedMemory: true });
const ram = (totalGib: number, freeGib = totalGib) => ({ totalBytes: totalGib * GIB, freeBytes: freeGib * GIB });
const warm = (facts: Partial<LoadedModel>) => model('old', { state: 'warm', sizeBytes: 3 * GIB, vramBytes: 4 * GIB, ...facts });

const on = (parts: Partial<NodeSnapshot>, facts: NodeFacts = {}) => node('a', parts.models ?? [], { ...facts, snapshot: parts });
const learnt = (needGib: number): NodeFacts => ({ figures: { new: { needBytes: needGib * GIB } } });

/** A tenth and a quarter of a GiB come on top of the weights. */
const needGib = (sizeGib: number) => sizeGib * 1.1 + 0.25;

describe('a load', () => {
  it.each<[string, LoadedModel, Partial<NodeSnapshot>, string]>([
    ['into an empty GPU', cold(4), { gpus: [freeGpu(8)] }, 'fits'],
    ['that fills a GPU to the last byte', cold(4), { gpus: [freeGpu(needGib(4))] }, 'fits'],
    ['that is one byte too large', cold(4), { gpus: [freeGpu(needGib(4) - 1 / GIB)] }, 'does_not_fit'],
    ['beside a game that holds the memory', cold(4), { gpus: [freeGpu(2)] }, 'does_not_fit'],
    ['over two GPUs together', cold(10), { gpus: [freeGpu(6), freeGpu(6)] }, 'fits'],
    ['of unknown size', cold(null), { gpus: [freeGpu(0)] }, 'fits'],
    ['into unknown free memory', cold(4), { gpus: [freeGpu(null)] }, 'does_not_fit'],
    ['of more than a card that does not tell what is free', cold(142), { gpus: [freeGpu(null)] }, 'too_large'],
    ['beside a game, where a second card does not tell', cold(4), { gpus: [freeGpu(1), freeGpu(null)] }, 'does_not_fit'],
    ['into the one of two cards that tells', cold(4), { gpus: [freeGpu(8), freeGpu(null)] }, 'fits'],
    ['into main memory, where the GPU does not tell its size', cold(4), { gpus: [freeGpu(1, null)], memory: ram(8) }, 'fits'],
    [
      'of more than main memory, where the GPU does not tell its size',
      cold(142),
      { gpus: [freeGpu(null, null)], memory: ram(23) },
      'too_large',
    ],
    ['of more than the other card, where one is lost', cold(142), { gpus: [freeGpu(6, 24), lost(24)] }, 'too_large'],
    ['of less than the lost card had', cold(12), { gpus: [freeGpu(6, 24), lost(24)] }, 'does_not_fit'],
    ['into the card that is left', cold(4), { gpus: [freeGpu(6, 24), lost(24)] }, 'fits'],
    ['into main memory, where the only card is lost', cold(4), { gpus: [lost(24)], memory: ram(8) }, 'fits'],
    [
      'into shared memory, as far as the machine has any free',
      cold(4),
      { gpus: [unified(null, 16)], memory: ram(16, 6) },
      'fits',
    ],
    ['into shared memory that other programs hold', cold(4), { gpus: [unified(null, 16)], memory: ram(16, 3) }, 'does_not_fit'],
    [
      'into memory that two GPUs share, which is there once',
      cold(9),
      { gpus: [unified(8, 8), { ...unified(8, 8), id: 'b' }] },
      'too_large',
    ],
    [
      'into main memory where there is no GPU',
      cold(4),
      { gpus: [], memory: { totalBytes: 8 * GIB, freeBytes: 5 * GIB } },
      'fits',
    ],
    [
      'into main memory that is too small',
      cold(4),
      { gpus: [], memory: { totalBytes: 8 * GIB, freeBytes: 4 * GIB } },
      'does_not_fit',
    ],
    ['once an idle model is gone', cold(4), { gpus: [freeGpu(1)], models: [warm({})] }, 'fits_after_eviction'],
    ['not even once an idle model is gone', cold(6), { gpus: [freeGpu(1)], models: [warm({})] }, 'does_not_fit'],
    [
      'once two idle models are gone',
      cold(7),
      { gpus: [freeGpu(0.5)], models: [warm({ id: 'a' }), warm({ id: 'b' })] },
      'fits_after_eviction',
    ],
    ['beside a pinned model', cold(4), { gpus: [freeGpu(1)], models: [warm({ isPinned: true })] }, 'does_not_fit'],
    [
      'beside a cold model, which holds nothing',
      cold(4),
      { gpus: [freeGpu(1)], models: [warm({ state: 'cold' })] },
      'does_not_fit',
    ],
    [
      'once a model is gone of which only the size is known',
      cold(3),
      { gpus: [freeGpu(1)], models: [warm({ vramBytes: null })] },
      'fits_after_eviction',
    ],
    [
      'beside a model on the CPU, which holds no GPU memory',
      cold(4),
      { gpus: [freeGpu(1)], models: [warm({ vramBytes: 0 })] },
      'does_not_fit',
    ],
    [
      'into main memory once a model is gone that holds no GPU memory, as nothing there does',
      cold(3),
      { gpus: [], memory: { totalBytes: 8 * GIB, freeBytes: 1 * GIB }, models: [warm({ vramBytes: 0 })] },
      'fits_after_eviction',
    ],
  ])('%s', (_, loaded, parts, kind) => {
    expect(fitOf(loaded, on(parts)).kind).toBe(kind);
  });

  it('says how much must go, or how much there is', () => {
    const parts = { gpus: [freeGpu(1)], models: [warm({})] };
    const fits = fitOf(cold(4), on(parts));
    expect(fits.kind === 'fits_after_eviction' && fits.evictBytes / GIB).toBeCloseTo(needGib(4) - 1);
    const fails = fitOf(cold(6), on(parts));
    expect(fails.kind === 'does_not_fit' && [fails.needBytes / GIB, fails.haveBytes / GIB]).toEqual([
      expect.closeTo(needGib(6)),
      5,
    ]);
  });

  it('is judged by what a load of the model really took, once that is known', () => {
    expect(fitOf(cold(4), on({ gpus: [freeGpu(4.7)] }, learnt(6))).kind).not.toBe('fits');
    expect(fitOf(cold(6.5), on({ gpus: [freeGpu(7)] }, learnt(7))).kind).toBe('fits');
  });

  it('is judged by its size where what was learned is more than there is', () => {
    expect(fitOf(cold(4), on({ gpus: [freeGpu(8)] }, learnt(16))).kind).toBe('fits');
  });

  it('counts the context where the node tells what it takes', () => {
    const gpus = [freeGpu(6)];
    expect(fitOf(cold(4), on({ gpus })).kind).toBe('fits');
    expect(fitOf({ ...cold(4), contextBytes: 1.7 * GIB }, on({ gpus })).kind).toBe('fits');
    expect(fitOf({ ...cold(4), contextBytes: 1.8 * GIB }, on({ gpus })).kind).not.toBe('fits');
  });

  it.each([
    ['as little memory is free as when it ran out', 6, 'ran_out'],
    ['hardly more is free', 6.9, 'ran_out'],
    ['much less is free', 4, 'ran_out'],
    ['much more is free', 7.1, 'fits'],
  ])('that ran out of memory is tried again where there is more room: %s', (_, freeGib, kind) => {
    const parts = { gpus: [freeGpu(freeGib)] };
    expect(fitOf(cold(2), on(parts, { ...learnt(3), shortageBytes: () => 6 * GIB })).kind).toBe(kind);
  });
});

describe('a model that is in use', () => {
  const gpus = [freeGpu(1)];
  const busy = { kind: 'fits_after_drain', inUse: ['old'] };

  it.each<[string, LoadedModel, NodeFacts]>([
    ['by what the node says', warm({ inFlight: 1 }), {}],
    ['by our own leases, which are newer', warm({}), { leased: { old: 1 } }],
    ['by somebody who waits for it', warm({}), { isWanted: (id) => id === 'old' }],
    ['as it is being loaded', warm({ state: 'loading' }), {}],
  ])('%s has to be left alone first', (_, old, facts) => {
    expect(fitOf(cold(4), on({ gpus, models: [old] }, facts))).toEqual(busy);
  });

  it('is not waited for where an idle one makes room enough', () => {
    const models = [warm({ inFlight: 1 }), warm({ id: 'idle' })];
    expect(fitOf(cold(4), on({ gpus: [freeGpu(1, 12)], models })).kind).toBe('fits_after_eviction');
  });
});

describe('a model that is being loaded', () => {
  const coming = (facts: Partial<LoadedModel> = {}) =>
    model('old', { state: 'cold', sizeBytes: 3 * GIB, vramBytes: null, ...facts });
  const asked: NodeFacts = { loading: new Map([['old', NOW_MS]]) };

  it.each<[string, LoadedModel, number, NodeFacts, string]>([
    ['before any of its memory is shown', coming(), 8, asked, 'fits_after_drain'],
    ['while some of it is shown', coming({ state: 'loading' }), 6, asked, 'fits_after_drain'],
    ['for another replica', coming({ state: 'loading' }), 8, {}, 'fits_after_drain'],
    ['not any more when nobody loads it', coming(), 8, {}, 'fits'],
  ])('has taken what it needs: %s', (_, old, freeGib, facts, kind) => {
    expect(fitOf(cold(5), on({ gpus: [freeGpu(freeGib)], models: [old] }, facts)).kind).toBe(kind);
  });

  it('leaves the rest to others, counted once', () => {
    const old = coming({ state: 'loading' });
    expect(fitOf(cold(3), on({ gpus: [freeGpu(8 - needGib(3))], models: [old] }, asked)).kind).toBe('fits');
  });
});

describe('a load that ran out of memory beside a model that is in use', () => {
  const ranOut = { ...learnt(5), shortageBytes: () => 4 * GIB };

  it('is tried again once that one is gone', () => {
    const parts = { gpus: [freeGpu(4)], models: [warm({ inFlight: 1 })] };
    expect(fitOf(cold(4), on(parts, ranOut)).kind).toBe('fits_after_drain');
  });

  it('waits for another load to end that has sent models away, whose memory is shown as taken, still', () => {
    const coming = model('old', { state: 'loading', sizeBytes: GIB, vramBytes: null });
    const parts = (totalGib: number) => ({ gpus: [freeGpu(1, totalGib)], models: [coming] });
    expect(fitOf(cold(4), on(parts(8), ranOut)).kind).toBe('does_not_fit');
    expect(fitOf(cold(4), on(parts(4.9), ranOut)).kind).toBe('ran_out');
    expect(fitOf(cold(4), on({ gpus: [freeGpu(1)] }, ranOut)).kind).toBe('ran_out');
  });

  it('waits for readings that know of a model that has come or gone a moment ago', () => {
    const parts = (freeGib: number, totalGib: number) => ({ gpus: [freeGpu(freeGib, totalGib)], models: [warm({})] });
    const justNow = { ...ranOut, isSettled: false };
    // Its own memory is shown as free, still; it is idle.
    expect(fitOf(cold(4), on(parts(8, 8), justNow))).toEqual({ kind: 'fits_after_eviction', evictBytes: GIB });
    expect(fitOf(cold(4), on(parts(0.5, 8), justNow)).kind).toBe('does_not_fit');
    expect(fitOf(cold(4), on(parts(0.5, 4.9), justNow)).kind).toBe('ran_out');
    expect(fitOf(cold(4), on(parts(0.5, 8), ranOut)).kind).toBe('ran_out');
  });

  it('is not when that would make little more room, nor when the whole card is not enough', () => {
    const small = { gpus: [freeGpu(4)], models: [warm({ inFlight: 1, vramBytes: 0.9 * GIB })] };
    expect(fitOf(cold(4), on(small, ranOut)).kind).toBe('ran_out');
    const large = { gpus: [freeGpu(4)], models: [warm({ inFlight: 1 })] };
    expect(fitOf(cold(9), on(large, { shortageBytes: () => 4 * GIB })).kind).toBe('ran_out');
  });
});

describe('a model that will never fit whole', () => {
  const spills = [
    { kind: 'ollama', spillsToMemory: true, version: null, state: 'ready', mode: 'owned', isSimulated: false, detail: null },
  ] as const;
  const memory = (totalGib: number, freeGib = totalGib) => ({ totalBytes: totalGib * GIB, freeBytes: freeGib * GIB });
  const empty = { gpus: [freeGpu(8)], runtimes: [...spills], memory: memory(32) };

  it.each<[string, number, Partial<NodeSnapshot>, string]>([
    ['is given to an engine that keeps the rest in main memory', 12, {}, 'fits_in_part'],
    ['is given to no other', 12, { runtimes: [] }, 'too_large'],
    ['waits while main memory is used by others', 12, { memory: memory(32, 2) }, 'does_not_fit'],
    ['waits while the card is used by a game', 12, { gpus: [freeGpu(3)] }, 'does_not_fit'],
    ['does not mind a desktop', 12, { gpus: [freeGpu(7)] }, 'fits_in_part'],
    ['is refused where the whole machine is smaller', 41, {}, 'too_large'],
    ['is refused where GPU and machine share one memory', 12, { gpus: [{ ...freeGpu(8), isUnifiedMemory: true }] }, 'too_large'],
    ['is tried where its weights alone would fit, by whatever engine', 7.5, { runtimes: [] }, 'fits_in_part'],
    [
      'waits where another model that is in use could go',
      5,
      { models: [warm({ inFlight: 1 })], gpus: [freeGpu(4)] },
      'fits_after_drain',
    ],
    ['is given to it beside a pinned model', 5, { models: [warm({ isPinned: true })], gpus: [freeGpu(4)] }, 'fits_in_part'],
  ])('%s', (_, sizeGib, parts, kind) => {
    expect(fitOf(cold(sizeGib), on({ ...empty, ...parts })).kind).toBe(kind);
  });

  it('says how much of it is missing', () => {
    const fit = fitOf(cold(12), on(empty));
    expect(fit.kind === 'fits_in_part' && fit.missingShare).toBeCloseTo((needGib(12) - 8) / needGib(12));
  });
});

describe('the most room a load could have had', () => {
  const card = (freeGib: number) => snapshot({ gpus: [freeGpu(freeGib)], models: [cold(2)] });

  it('is what is free, when no model has left a moment ago', () => {
    expect(mostRoomOf(card(3))).toBe(3 * GIB);
    expect(mostRoomOf(snapshot({ gpus: [freeGpu(null)] }))).toBeNull();
  });

  it('counts what one that has left may be shown to hold, up to the whole card', () => {
    expect(mostRoomOf(card(3), new Set(['new']))).toBeCloseTo((3 + needGib(2)) * GIB, -3);
    expect(mostRoomOf(card(7), new Set(['new']))).toBe(8 * GIB);
  });
});
