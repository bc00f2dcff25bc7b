import { describe, expect, it } from 'vitest';
import { readOptions } from './options.ts';

describe('options', () => {
  it('without any: everything, in full, beside all others', () => {
    expect(readOptions([])).toMatchObject({ length: 'full', only: null, against: null, agentSide: 'target' });
    expect(readOptions([]).rivals).toEqual(['nginx', 'portkey', 'node-proxy']);
  });

  it('a group stands for its scenarios', () => {
    expect([...(readOptions(['--only', 'ttft,relay']).only ?? [])]).toEqual(['ttft-1', 'ttft-16', 'ttft-64', 'relay']);
  });

  it('none leaves Lai alone with the engine', () => {
    expect(readOptions(['--beside', 'none']).rivals).toEqual([]);
  });

  it.each([
    [['--only', 'ttfb'], /no scenario "ttfb"/],
    [['--beside', 'caddy'], /no target "caddy"/],
    [['--fast'], /--fast/],
  ])('%j is refused with a sentence', (argv, sentence) => {
    expect(() => readOptions(argv)).toThrow(sentence);
  });
});
