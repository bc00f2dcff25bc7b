import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { runtimeConformance } from './conformance.ts';
import { type MockEngine, type MockEngineOptions, startMockEngine } from './mock-engine/mock-engine.ts';
import type { Tuning } from './mock-engine/options.ts';
import { Ollama } from './ollama.ts';

const QUICK: Partial<Tuning> = {
  tps: 400,
  prefillMs: 5,
  coldLoadMsPerGb: 20,
  unloadMs: 5,
  vramLagMs: 0,
  pullBytesPerSecond: 4e9,
};
const MODELS = 'small:1b=1GB,ctx=512,caps=chat+tools; embed=0.2GB,caps=embedding; far:1b=1GB,remote,caps=chat';

const start = (options: Partial<MockEngineOptions> = {}): Promise<MockEngine> =>
  startMockEngine({ dialect: 'ollama', models: MODELS, ...options, tuning: { ...QUICK, ...options.tuning } });

runtimeConformance('Ollama', {
  start: async () => {
    const mock = await start();
    return {
      runtime: new Ollama({ url: mock.url }),
      chat: 'small:1b',
      embedding: 'embed:latest',
      remote: 'far:1b',
      crash: async () => {
        for (const model of mock.engine.models) if (model.phase === 'warm') mock.engine.crashRunner(model);
      },
      kill: mock.close,
      busy: async () => mock.engine.census.active,
      tokensAfterAbort: () => mock.engine.census.tokensAfterAbort,
      close: mock.close,
    };
  },
});

describe('Ollama', () => {
  let mock: MockEngine | undefined;
  afterEach(() => mock?.close());
  const soon = () => AbortSignal.timeout(4_000);
  const DAY_MS = 86_400_000;

  const expiresInMs = async (runtime: Ollama) => {
    const at = (await runtime.listModels(soon())).find(({ id }) => id === 'small:1b')?.expiresAtMs;
    return at === null || at === undefined ? null : at - Date.now();
  };

  it('is told how long to keep what it loads, and to keep a pinned model for ever', async () => {
    mock = await start();
    const runtime = new Ollama({ url: mock.url, keepMs: 3 * 60_000 });
    await runtime.loadModel('small:1b', soon());
    expect(await expiresInMs(runtime)).toBeGreaterThan(170_000);
    expect(await expiresInMs(runtime)).toBeLessThan(190_000);
    await runtime.keepModel('small:1b', true, soon());
    expect(await expiresInMs(runtime)).toBeNull();
    await runtime.keepModel('small:1b', false, soon());
    expect(await expiresInMs(runtime)).toBeLessThan(DAY_MS);
  });

  it('shows a cold model with the context it will have, then with the one it had', async () => {
    mock = await start({ models: 'long=1GB,ctx=131072,caps=chat' });
    const small = new Ollama({ url: mock.url, readVramTotalBytes: () => 8 * 2 ** 30 });
    expect((await small.listModels(soon()))[0]).toMatchObject({ id: 'long:latest', contextLength: 4_096 });
    await small.loadModel('long:latest', soon());
    expect((await small.listModels(soon()))[0]?.contextLength).toBe(131_072);
    await small.unloadModel('long:latest', soon());
    expect((await small.listModels(soon()))[0]).toMatchObject({ isLoaded: false, contextLength: 131_072 });
  });

  it.each<[string, { parameters?: string; capabilities?: string[] }, { contextLength?: number }, number | null]>([
    ['is the least that it falls back to where nobody asked for one', {}, {}, 4_096],
    ['is that of its settings', {}, { contextLength: 20_000 }, 20_000],
    ['is that of its Modelfile', { parameters: 'num_ctx 16384' }, { contextLength: 20_000 }, 16_384],
    ['is that of a Modelfile with a large number', { parameters: 'num_ctx    1.048576e+06' }, {}, 32_768],
    ['is never more than the model was made for', { parameters: 'num_ctx 262144' }, {}, 32_768],
    ['is not known of a model for vectors', { capabilities: ['embedding'] }, {}, null],
  ])('tells what the context of a model takes, which %s', async (_, shown, settings, tokens) => {
    const model_info = {
      'general.architecture': 'llama',
      'llama.context_length': 32_768,
      'llama.block_count': 32,
      'llama.embedding_length': 4_096,
      'llama.attention.head_count': 32,
      'llama.attention.head_count_kv': 8,
    };
    const pages: Record<string, unknown> = {
      '/api/version': { version: '0.24.0' },
      '/api/tags': { models: [{ name: 'm:latest', size: 5e9 }] },
      '/api/ps': { models: [] },
      '/api/show': { capabilities: ['completion'], model_info, ...shown },
    };
    const program = createServer(({ url }, response) => response.end(JSON.stringify(pages[url ?? ''])));
    onTestFinished(() => void program.close());
    await new Promise<void>((resolve) => program.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(program.address() as AddressInfo).port}`;
    const runtime = new Ollama({ url, slots: 2, readVramTotalBytes: () => 48 * 2 ** 30, ...settings });
    expect((await runtime.listModels(soon()))[0]?.contextBytes).toBe(tokens === null ? null : tokens * 2 * 131_072);
  });

  it('has a pull that fails in the middle under status 200, and that is a failure', async () => {
    mock = await start();
    mock.engine.faults.arm({ kind: 'disk-full', afterTokens: 1 });
    const runtime = new Ollama({ url: mock.url });
    await expect(runtime.pullModel('far:1b', () => {}, soon())).rejects.toMatchObject({
      code: 'engine_error',
      detail: expect.stringContaining('no space left'),
    });
  });

  it('goes on with a pull where the last one stopped', async () => {
    mock = await start({ tuning: { pullBytesPerSecond: 3e9 } });
    const runtime = new Ollama({ url: mock.url });
    const stop = new AbortController();
    let reached = 0;
    await runtime
      .pullModel(
        'far:1b',
        ({ completedBytes }) => {
          reached = completedBytes ?? 0;
          if (reached > 5e8) stop.abort();
        },
        stop.signal,
      )
      .catch(() => {});
    const seen: number[] = [];
    await runtime.pullModel('far:1b', ({ completedBytes }) => completedBytes && seen.push(completedBytes), soon());
    expect(seen[0]).toBeGreaterThanOrEqual(reached);
  });
});
