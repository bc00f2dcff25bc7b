import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mlxCapabilities } from './mlx-model.ts';

describe('mlxCapabilities', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'lai-mlx-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  const put = (path: string, content: unknown) => {
    mkdirSync(join(dir, path, '..'), { recursive: true });
    writeFileSync(join(dir, path), typeof content === 'string' ? content : JSON.stringify(content));
  };

  it.each<[string, Record<string, unknown>, readonly string[] | null]>([
    ['a template with tools', { 'tokenizer_config.json': { chat_template: '<tool_call>' } }, ['chat', 'completion', 'tools']],
    [
      'a template in a file of its own',
      { 'tokenizer_config.json': {}, 'chat_template.jinja': '[TOOL_CALLS]' },
      ['chat', 'completion', 'tools'],
    ],
    ['a template without tools', { 'tokenizer_config.json': { chat_template: '{{ messages }}' } }, ['chat', 'completion']],
    ['no template', { 'tokenizer_config.json': {} }, ['completion']],
    ['odd files', { 'tokenizer_config.json': 'not JSON', 'chat_template.jinja': '' }, ['completion']],
    ['no files', {}, null],
  ])('of a folder with %s', async (_, files, found) => {
    for (const [name, content] of Object.entries(files)) put(name, content);
    expect(await mlxCapabilities(dir)).toEqual(found);
  });

  it('of a model in the cache are those of its newest revision', async () => {
    put('models--mlx-community--Q/refs/main', 'abc1234\n');
    put('models--mlx-community--Q/snapshots/abc1234/tokenizer_config.json', { chat_template: '<tool_call>' });
    expect(await mlxCapabilities('mlx-community/Q', dir)).toEqual(['chat', 'completion', 'tools']);
    put('models--mlx-community--Q/refs/main', '../../../etc');
    expect(await mlxCapabilities('mlx-community/Q', dir)).toBeNull();
  });
});
