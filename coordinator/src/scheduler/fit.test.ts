import type { LoadedModel, NodeSnapshot } from '@lai/shared/node';
import { describe, expect, it } from 'vitest';
import { GIB, gpu, model, snapshot } from './__fixtures__/fleet.ts';
import { fitOf, mostRoomOf } from './fit.ts';

const cold = (sizeGib: number | null) => model('new', { state: 'cold', sizeBytes: sizeGib === null ? null : sizeGib * GIB });
const freeGpu = (freeGib: number | null, totalGib: number | null = 8) =>
  gpu({
    vramTotalBytes: totalGib === null ? null : totalGib * GIB,
    vramFreeBytes: freeGib === null ? null : freeGib * GIB,
  });
const warm = (facts: Partial<LoadedModel>) => model('old', { state: 'warm', sizeBytes: 3 * GIB, vramBytes: 4 * GIB, ...facts });

/** A tenth and a quarter of a GiB come on top of the weights. */
const needGib = (sizeGib: number) => sizeGib * 1.1 + 0.25;

describe('a load', () => {
  it.each<[string, LoadedModel, Partial<NodeSnapshot>, string]>([
    ['into an empty GPU', cold(4), { gpus: [freeGpu(8)] }, 'fits'],
    ['that fills a GPU to the last byte', cold(4), { gpus: [freeGpu(needGib(4))] }, 'fits'],
    ['that is one byte too large', cold(4), { gpus: [freeGpu(needGib(4) - 1 / GIB)] }, 'does_not_fit'],
    ['of weights that fit without what comes on top', cold(7.5), { gpus: [freeGpu(8)] }, 'does_not_fit'],
    ['beside a game that holds the memory', cold(4), { gpus: [freeGpu(2)] }, 'does_not_fit'],
    ['over two GPUs together', cold(10), { gpus: [freeGpu(6), freeGpu(6)] }, 'fits'],
    ['of unknown size', cold(null), { gpus: [freeGpu(0)] }, 'fits'],
    ['into unknown free memory', cold(40), { gpus: [freeGpu(null)] }, 'fits'],
    ['into a GPU of unknown size', cold(40), { gpus: [freeGpu(1, null)] }, 'fits'],
    ['where one of two GPUs does not tell', cold(40), { gpus: [freeGpu(1), freeGpu(null)] }, 'fits'],
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
    ['beside a busy model', cold(4), { gpus: [freeGpu(1)], models: [warm({ inFlight: 1 })] }, 'does_not_fit'],
    ['beside a pinned model', cold(4), { gpus: [freeGpu(1)], models: [warm({ isPinned: true })] }, 'does_not_fit'],
    [
      'beside a cold model, which holds nothing',
      cold(4),
      { gpus: [freeGpu(1)], models: [warm({ state: 'cold' })] },
      'does_not_fit',
    ],
    [
      'beside a model that is being loaded',
      cold(4),
      { gpus: [freeGpu(1)], models: [warm({ state: 'loading' })] },
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
    expect(fitOf(loaded, snapshot(parts)).kind).toBe(kind);
  });

  it('says how much must go, or how much there is', () => {
    const parts = { gpus: [freeGpu(1)], models: [warm({})] };
    const fits = fitOf(cold(4), snapshot(parts));
    expect(fits.kind === 'fits_after_eviction' && fits.evictBytes / GIB).toBeCloseTo(needGib(4) - 1);
    const fails = fitOf(cold(6), snapshot(parts));
    expect(fails.kind === 'does_not_fit' && [fails.needBytes / GIB, fails.haveBytes / GIB]).toEqual([
      expect.closeTo(needGib(6)),
      5,
    ]);
  });

  it('is judged by what a load of the model really took, once that is known', () => {
    const learned = { needBytes: 7 * GIB, shortageBytes: null };
    expect(fitOf(cold(4), snapshot({ gpus: [freeGpu(6)] }), learned).kind).toBe('does_not_fit');
    expect(fitOf(cold(40), snapshot({ gpus: [freeGpu(7)] }), learned).kind).toBe('fits');
  });

  it.each([
    ['as little memory is free as when it ran out', 6, 'does_not_fit'],
    ['hardly more is free', 6.9, 'does_not_fit'],
    ['much less is free', 4, 'does_not_fit'],
    ['much more is free', 7.1, 'fits'],
  ])('that ran out of memory is tried again where there is more room: %s', (_, freeGib, kind) => {
    const learned = { needBytes: 3 * GIB, shortageBytes: 6 * GIB };
    expect(fitOf(cold(2), snapshot({ gpus: [freeGpu(freeGib)] }), learned).kind).toBe(kind);
  });
});

describe('the most room a load could have had', () => {
  const card = (freeGib: number) => snapshot({ gpus: [freeGpu(freeGib)], models: [cold(2)] });

  it('is what is free, when nothing was loaded beside it', () => {
    expect(mostRoomOf(card(3))).toBe(3 * GIB);
    expect(mostRoomOf(snapshot({ gpus: [freeGpu(null)] }))).toBeNull();
  });

  it('counts what was being loaded beside it, up to the whole card', () => {
    expect(mostRoomOf(card(3), new Set(['new']))).toBeCloseTo((3 + needGib(2)) * GIB, -3);
    expect(mostRoomOf(card(7), new Set(['new']))).toBe(8 * GIB);
  });
});
