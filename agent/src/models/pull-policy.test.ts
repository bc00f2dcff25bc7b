import { describe, expect, it } from 'vitest';
import { DEFAULT_PULLS, mayPull } from './pull-policy.ts';

describe('a pull', () => {
  it.each<[string, boolean]>([
    ['llama3.2:3b', true],
    ['someone/model:latest', true],
    ['hf.co/unsloth/gpt-oss-20b:Q4_K_M', true],
    ['HF.co/unsloth/gpt-oss-20b:Q4_K_M', true],
    ['registry.ollama.ai/library/llama3', true],
    ['evil.example/library/llama3', false],
    ['127.0.0.1:5000/library/demo', false],
    ['localhost/library/demo', false],
    ['router/admin', true],
    ['hf.co.evil.example/x/y', false],
  ])('of %s by the default list: %j', (name, isAllowed) => {
    expect(mayPull(name, DEFAULT_PULLS)).toBe(isAllowed);
  });

  it.each<[string, string[], boolean]>([
    ['127.0.0.1:5000/library/demo', ['127.0.0.1:5000/*'], true],
    ['127.0.0.1:5001/library/demo', ['127.0.0.1:5000/*'], false],
    ['llama3.2:3b', ['llama3*'], true],
    ['qwen3:8b', ['llama3*'], false],
    ['llama3x2:3b', ['llama3.2:*'], false],
    ['anything', [], false],
    ['hf.co/someone/else', ['hf.co/unsloth/*'], false],
  ])('of %s by %j: %j', (name, patterns, isAllowed) => {
    expect(mayPull(name, patterns)).toBe(isAllowed);
  });
});
