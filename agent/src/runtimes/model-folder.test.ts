import { describe, expect, it } from 'vitest';
import { folderName, shownNames } from './model-folder.ts';
import { toolParserOf } from './vllm-family.ts';

describe('folderName', () => {
  it.each([
    ['/data/models/Qwen2.5-7B-Instruct', 'Qwen2.5-7B-Instruct'],
    ['/mnt/f/AI Models/模型 七/', '模型 七'],
    ['./tiny', 'tiny'],
    ['~/models/tiny', 'tiny'],
    ['C:\\models\\tiny', 'tiny'],
    ['Qwen/Qwen3-8B', undefined],
    ['qwen3:8b', undefined],
    ['/', undefined],
  ])('of %s is %s', (model, name) => {
    expect(folderName(model)).toBe(name);
  });
});

describe('shownNames', () => {
  it('gives each model a name of its own', () => {
    expect([...shownNames(['/a/tiny', '/b/tiny', '/c/big', 'big', 'Qwen/Q']).values()]).toEqual([
      'tiny',
      '/b/tiny',
      '/c/big',
      'big',
      'Qwen/Q',
    ]);
  });
});

describe('toolParserOf', () => {
  it.each([
    ['Qwen/Qwen2.5-7B-Instruct', 'hermes'],
    ['/models/Qwen3-8B', 'hermes'],
    ['Qwen/Qwen3-Coder-30B-A3B-Instruct', 'qwen3_coder'],
    ['meta-llama/Llama-3.1-8B-Instruct', 'llama3_json'],
    ['mistralai/Mistral-Small-3.2-24B-Instruct-2506', 'mistral'],
    ['openai/gpt-oss-20b', 'openai'],
    ['deepseek-ai/DeepSeek-V3.1', 'deepseek_v31'],
    ['zai-org/GLM-4.5-Air', 'glm45'],
    ['facebook/opt-125m', null],
  ])('of %s is %s', (model, parser) => {
    expect(toolParserOf(model)).toBe(parser);
  });
});
