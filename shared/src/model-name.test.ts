import { describe, expect, it } from 'vitest';
import { modelsNamed, sameModel, withoutLatest } from './model-name.ts';

describe('two names of a model', () => {
  it.each<[string, string, boolean]>([
    ['llama3', 'llama3', true],
    ['llama3', 'llama3:latest', true],
    ['llama3:latest', 'llama3', true],
    ['llama3:latest', 'llama3:latest', true],
    ['llama3', 'llama3:8b', false],
    ['llama3:latest', 'llama3:8b', false],
    ['Llama3.2:3B', 'llama3.2:3b', true],
    ['Qwen3', 'qwen3:latest', true],
    ['library/llama3.2:3b', 'llama3.2:3b', true],
    ['registry.ollama.ai/library/llama3.2:3b', 'llama3.2:3b', true],
    ['registry.ollama.ai/me/llama3.2:3b', 'me/llama3.2:3b', true],
    ['hf.co/bartowski/X-GGUF:q4_k_m', 'hf.co/bartowski/X-GGUF:Q4_K_M', true],
    ['huggingface.co/bartowski/X-GGUF:Q4_K_M', 'hf.co/bartowski/X-GGUF:Q4_K_M', true],
    ['other.registry/library/llama3', 'llama3', false],
    ['me/llama3', 'llama3', false],
    ['latest', 'x:latest', false],
    ['registry:5000/ns/m', 'registry:5000/ns/m:latest', true],
    ['m:latest:latest', 'm', false],
  ])('%s and %s are the same: %j', (a, b, isSame) => {
    expect(sameModel(a, b)).toBe(isSame);
    expect(sameModel(b, a)).toBe(isSame);
  });

  it.each([
    ['llama3:latest', 'llama3'],
    ['llama3:8b', 'llama3:8b'],
    ['llama3', 'llama3'],
    [':latest', ''],
  ])('%s is shown as %j', (id, shown) => {
    expect(withoutLatest(id)).toBe(shown);
  });
});

describe('modelsNamed', () => {
  const models = [{ id: 'Tiny' }, { id: 'tiny' }, { id: 'tiny:latest' }, { id: 'other' }];

  it('finds the model of exactly that name where there is one', () => {
    expect(modelsNamed(models, 'Tiny')).toEqual([{ id: 'Tiny' }]);
  });

  it('finds every model that the name may mean otherwise', () => {
    expect(modelsNamed(models, 'TINY')).toEqual([{ id: 'Tiny' }, { id: 'tiny' }, { id: 'tiny:latest' }]);
    expect(modelsNamed(models, 'none')).toEqual([]);
  });
});
