import { describe, expect, it } from 'vitest';
import { nothingLearned } from '../scheduler/fleet.ts';
import { Figures, sampleOf } from './figures.ts';

describe('what was learned of a model on a node', () => {
  it('is nothing at first', () => {
    expect(new Figures().of('n', 'm')).toEqual(nothingLearned);
  });

  it('is the first sample as it is, then an average in which the newest weighs three tenths', () => {
    const figures = new Figures();
    figures.learn('n', 'm', { loadMs: 1_000 });
    expect(figures.of('n', 'm').loadMs).toBe(1_000);
    figures.learn('n', 'm', { loadMs: 2_000 });
    expect(figures.of('n', 'm').loadMs).toBe(1_300);
    figures.learn('n', 'm', { loadMs: 1_300 });
    expect(figures.of('n', 'm').loadMs).toBe(1_300);
  });

  it('keeps each figure for itself: what a sample does not tell stays', () => {
    const figures = new Figures();
    figures.learn('n', 'm', { firstContentMs: 50, attemptMs: 900 });
    figures.learn('n', 'm', { firstContentMs: null, loadMs: 7 });
    expect(figures.of('n', 'm')).toEqual({ ...nothingLearned, loadMs: 7, firstContentMs: 50, attemptMs: 900 });
  });

  it('takes a zero for a figure, not for nothing', () => {
    const figures = new Figures();
    figures.learn('n', 'm', { firstContentMs: 0 });
    expect(figures.of('n', 'm').firstContentMs).toBe(0);
    figures.learn('n', 'm', { firstContentMs: 100 });
    expect(figures.of('n', 'm').firstContentMs).toBe(30);
  });

  it('is told apart by node and by model, whatever their names', () => {
    const figures = new Figures();
    figures.learn('n', 'm', { loadMs: 1 });
    figures.learn('n2', 'm', { loadMs: 2 });
    figures.learn('n', 'm2', { loadMs: 3 });
    expect(['n m', 'n2 m', 'n m2', 'n2 m2'].map((pair) => figures.of(...(pair.split(' ') as [string, string])).loadMs)).toEqual([
      1,
      2,
      3,
      null,
    ]);
  });

  it('recovers from an outlier', () => {
    const figures = new Figures();
    for (const attemptMs of [100, 100_000, ...Array.from({ length: 20 }, () => 100)]) figures.learn('n', 'm', { attemptMs });
    expect(figures.of('n', 'm').attemptMs).toBeLessThan(130);
  });
});

describe('what an attempt teaches', () => {
  const timings = { firstContentMs: 2_000, totalMs: 12_000 };
  const usage = { promptTokens: 4_000, completionTokens: 501, cachedTokens: 0 };

  it('is how fast the node reads and writes', () => {
    expect(sampleOf(timings, usage)).toEqual({
      ...{ firstContentMs: 2_000, attemptMs: 12_000, prefillTokensPerSecond: 2_000, tokensPerSecond: 50 },
    });
  });

  it('does not count what the prompt cache spared', () => {
    expect(sampleOf(timings, { ...usage, cachedTokens: 3_000 }).prefillTokensPerSecond).toBe(500);
  });

  it.each([
    ['a short prompt', { ...usage, promptTokens: 100 }, { prefillTokensPerSecond: null, tokensPerSecond: 50 }],
    ['a cached prompt', { ...usage, cachedTokens: 3_900 }, { prefillTokensPerSecond: null, tokensPerSecond: 50 }],
    ['a short answer', { ...usage, completionTokens: 3 }, { prefillTokensPerSecond: 2_000, tokensPerSecond: null }],
    ['no count at all', null, { prefillTokensPerSecond: null, tokensPerSecond: null }],
  ])('is no speed from %s', (_, counted, speeds) => {
    expect(sampleOf(timings, counted)).toMatchObject(speeds);
  });

  it('is no speed from an answer without content', () => {
    expect(sampleOf({ firstContentMs: null, totalMs: 50 }, usage)).toMatchObject({
      prefillTokensPerSecond: null,
      tokensPerSecond: null,
    });
  });
});
