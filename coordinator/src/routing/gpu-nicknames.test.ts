import { describe, expect, it } from 'vitest';
import { gpuNicknames } from './gpu-nicknames.ts';

describe('gpuNicknames', () => {
  it.each<[string, string[]]>([
    ['NVIDIA GeForce RTX 3070', ['3070', 'rtx-3070']],
    ['NVIDIA GeForce RTX 3090 Ti', ['3090', '3090-ti', 'rtx-3090', 'rtx-3090-ti']],
    ['NVIDIA GeForce RTX 4070 Laptop GPU', ['4070', 'rtx-4070']],
    ['NVIDIA RTX A6000', ['a6000', 'rtx-a6000']],
    ['NVIDIA GeForce GTX 1080', ['1080', 'gtx-1080']],
    ['AMD Radeon RX 7900 XTX', ['7900', '7900-xtx', 'rx-7900', 'rx-7900-xtx']],
    ['Apple M1', ['m1']],
    ['Apple M3 Max', ['m3', 'm3-max']],
    ['NVIDIA H200', ['h200']],
    ['NVIDIA A100-SXM4-80GB', []],
    ['NVIDIA GB10', ['gb10']],
    ['Intel(R) Arc(TM) A770 Graphics', ['a770', 'arc-a770']],
    ['Mock GPU', []],
  ])('derives the names of %s', (name, nicknames) => {
    expect(gpuNicknames(name)).toEqual(nicknames);
  });
});
