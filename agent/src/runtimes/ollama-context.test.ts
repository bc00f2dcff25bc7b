import { describe, expect, it } from 'vitest';
import { ollamaContext } from './ollama-context.ts';

const GIB = 2 ** 30;

describe('the context of a cold model in Ollama', () => {
  it.each<[string, Parameters<typeof ollamaContext>[0], number | null]>([
    ['is small on an 8 GB card, whatever the model could', { longest: 131_072, wanted: null, vramTotalBytes: 8 * GIB }, 4_096],
    ['is small without a GPU', { longest: 131_072, wanted: null, vramTotalBytes: 0 }, 4_096],
    ['is larger on a 24 GB card', { longest: 131_072, wanted: null, vramTotalBytes: 24 * GIB }, 32_768],
    ['is the longest on a large machine', { longest: 131_072, wanted: null, vramTotalBytes: 48 * GIB }, 131_072],
    ['is what somebody asked for', { longest: 131_072, wanted: 16_384, vramTotalBytes: 8 * GIB }, 16_384],
    ['is never more than the model can', { longest: 2_048, wanted: 16_384, vramTotalBytes: 8 * GIB }, 2_048],
    ['is the least while the GPUs are not known', { longest: 131_072, wanted: null, vramTotalBytes: null }, 4_096],
    ['is the default where the model does not tell', { longest: null, wanted: null, vramTotalBytes: 0 }, 4_096],
    ['is the least where nothing is known', { longest: null, wanted: null, vramTotalBytes: null }, 4_096],
  ])('%s', (_, known, context) => {
    expect(ollamaContext(known)).toBe(context);
  });
});
