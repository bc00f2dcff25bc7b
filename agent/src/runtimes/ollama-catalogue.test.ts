import { describe, expect, it, onTestFinished } from 'vitest';
import { Ollama } from './ollama.ts';
import { startScriptedEngine } from './scripted-engine.ts';

const soon = () => AbortSignal.timeout(4_000);
const tag = (name: string, facts: object = {}) => ({
  name,
  size: 2e9,
  digest: `d-${name}`,
  capabilities: ['completion'],
  ...facts,
});
const runner = (name: string, facts: object = {}) => ({
  name,
  digest: `d-${name}`,
  size_vram: 3e9,
  context_length: 4_096,
  ...facts,
});

interface Script {
  tags: unknown;
  ps: unknown;
  show?: Record<string, unknown>;
  /** Names that can no longer be asked for. */
  deleted?: readonly string[];
}

const start = async (script: Script) => {
  const engine = await startScriptedEngine((path, body) => {
    if (path === '/api/version') return { body: { version: '0.32.15' } };
    if (path === '/api/tags') return { body: { models: script.tags } };
    if (path === '/api/ps') return { body: { models: script.ps } };
    if (path === '/api/show') return { body: script.show?.[String(body['model'])] ?? { model_info: {} } };
    if (path !== '/api/generate') return undefined;
    const isDeleted = script.deleted?.includes(String(body['model']));
    return isDeleted ? { status: 404, body: { error: `model '${body['model']}' not found` } } : { body: { done: true } };
  });
  onTestFinished(() => engine.close());
  return { engine, runtime: new Ollama({ url: engine.url }) };
};

const list = async (script: Script) => {
  const { runtime } = await start(script);
  return { models: await runtime.listModels(soon()), detail: runtime.report().detail };
};

describe('an Ollama whose catalogue is not all there is', () => {
  it('reports a deleted model that is still in memory as loaded, and offers nothing of it', async () => {
    const { models } = await list({ tags: [tag('a:1b')], ps: [runner('gone:9b', { size_vram: 6.5e9 })] });
    expect(models).toEqual([
      expect.objectContaining({ id: 'a:1b', isLoaded: false }),
      expect.objectContaining({ id: 'gone:9b', isLoaded: true, capabilities: [], vramBytes: 6.5e9, slots: 0 }),
    ]);
  });

  it('says that Ollama does not unload a deleted model', async () => {
    const { runtime, engine } = await start({ tags: [tag('a:1b')], ps: [runner('gone:9b')], deleted: ['gone:9b'] });
    await runtime.listModels(soon());
    await expect(runtime.unloadModel('gone:9b', soon())).rejects.toMatchObject({
      code: 'engine_error',
      detail: expect.stringContaining('restarted'),
    });
    expect(engine.asked).toContainEqual({
      call: 'POST /api/generate',
      body: expect.objectContaining({ model: 'gone:9b', keep_alive: 0 }),
    });
  });

  it('reports what is loaded under a name that was pulled anew since as something else', async () => {
    const { models } = await list({ tags: [tag('a:1b', { digest: 'new' })], ps: [runner('a:1b', { digest: 'old' })] });
    expect(models.map(({ id, isLoaded }) => [id, isLoaded])).toEqual([
      ['a:1b', false],
      ['a:1b@old', true],
    ]);
  });

  it('takes a copy of a loaded model for loaded', async () => {
    const { models } = await list({
      tags: [tag('gpt-4.1:latest', { digest: 'same' }), tag('gpt-oss:20b', { digest: 'same' })],
      ps: [runner('gpt-4.1:latest', { digest: 'same' })],
    });
    expect(models.map(({ id, isLoaded, digest }) => [id, isLoaded, digest])).toEqual([
      ['gpt-4.1:latest', true, 'same'],
      ['gpt-oss:20b', true, 'same'],
    ]);
  });

  it.each([
    ['in another case', 'Qwen3:latest'],
    ['with its registry', 'registry.ollama.ai/library/qwen3:latest'],
    ['without its tag', 'qwen3'],
  ])('knows a loaded model that is listed %s', async (_, name) => {
    const { models } = await list({ tags: [tag('qwen3:latest', { digest: null })], ps: [runner(name, { digest: null })] });
    expect(models.map(({ id, isLoaded }) => [id, isLoaded])).toEqual([['qwen3:latest', true]]);
  });

  it('has nothing of a stub for a cloud, loaded or not', async () => {
    const { models } = await list({
      tags: [tag('a:1b', { remote_host: '' }), tag('far:cloud', { remote_host: 'https://ollama.com:443' })],
      ps: [runner('far:cloud')],
    });
    expect(models.map(({ id }) => id)).toEqual(['a:1b']);
  });

  it('knows a model that its owner keeps off the GPU', async () => {
    const { models } = await list({
      tags: [tag('a:1b'), tag('b:1b')],
      ps: [],
      show: { 'a:1b': { parameters: 'num_gpu                        0\nnum_ctx                        2048' } },
    });
    expect(models.map(({ staysOnCpu }) => staysOnCpu)).toEqual([true, false]);
  });
});

describe('an Ollama with an odd answer', () => {
  it.each([0, -1, 1.5, 2 ** 60, null, '', '4096', Number.NaN, [], {}])('takes a context of %p for not known', async (value) => {
    const said = await list({ tags: [tag('a:1b', { details: { context_length: value } })], ps: [] });
    const silent = await list({ tags: [tag('a:1b')], ps: [] });
    expect(said.models).toEqual(silent.models);
  });

  it('leaves out entries without a name, names them and keeps the others', async () => {
    const { models, detail } = await list({
      tags: [
        null,
        5,
        {},
        tag(''),
        tag('a\u001b[31m:1b'),
        tag('a:1b'),
        tag('b:1b', { size: 'much', capabilities: 'all', details: 3 }),
      ],
      ps: [{ size_vram: 1 }, runner('a:1b', { size_vram: -1, expires_at: 5 })],
    });
    expect(models).toEqual([
      expect.objectContaining({ id: 'a:1b', isLoaded: true, vramBytes: null, expiresAtMs: null }),
      expect.objectContaining({ id: 'b:1b', isLoaded: false, sizeBytes: null }),
    ]);
    expect(detail).toContain('left out of its models: entry 1');
  });

  it('has no models when it says null', async () => {
    expect((await list({ tags: null, ps: null })).models).toEqual([]);
  });

  it('offers nothing of a model that it cannot show', async () => {
    const { runtime } = await start({ tags: [tag('a:1b', { capabilities: null })], ps: [], show: { 'a:1b': 'not JSON' } });
    expect(await runtime.listModels(soon())).toEqual([expect.objectContaining({ id: 'a:1b', capabilities: [] })]);
  });
});
