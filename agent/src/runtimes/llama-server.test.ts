import { afterEach, describe, expect, it } from 'vitest';
import { runtimeConformance } from './conformance.ts';
import { LlamaServer } from './llama-server.ts';
import { mockRuntime } from './mock.ts';
import { type MockEngine, startMockEngine } from './mock-engine/mock-engine.ts';
import type { Tuning } from './mock-engine/options.ts';

const QUICK: Partial<Tuning> = { tps: 400, prefillMs: 5, coldLoadMsPerGb: 20, unloadMs: 5, vramLagMs: 0 };
const MODELS = 'small:1b=1GB,slots=2,ctx=512,caps=chat+tools; embed=0.2GB,caps=embedding';

const start = (): Promise<MockEngine> => startMockEngine({ dialect: 'llama-server', models: MODELS, tuning: QUICK });

const crashes = (mock: MockEngine) => async () => {
  for (const model of mock.engine.models) if (model.phase === 'warm') mock.engine.crashRunner(model);
};

runtimeConformance('llama-server', {
  // The router tells the size of a model that is loaded, or whose file can be read.
  tells: { size: false },
  start: async () => {
    const mock = await start();
    return {
      runtime: new LlamaServer({ url: mock.url }),
      chat: 'small:1b',
      embedding: 'embed',
      crash: crashes(mock),
      kill: mock.close,
      busy: async () => mock.engine.census.active,
      tokensAfterAbort: () => mock.engine.census.tokensAfterAbort,
      close: mock.close,
    };
  },
});

runtimeConformance('mock', {
  start: async () => {
    const mock = await start();
    return {
      runtime: mockRuntime(mock.url),
      chat: 'small:1b',
      embedding: 'embed',
      crash: crashes(mock),
      kill: mock.close,
      busy: async () => mock.engine.census.active,
      tokensAfterAbort: () => mock.engine.census.tokensAfterAbort,
      close: mock.close,
    };
  },
});

describe('llama-server', () => {
  let mock: MockEngine | undefined;
  afterEach(() => mock?.close());
  const soon = () => AbortSignal.timeout(4_000);

  it('tells the slots each model really has', async () => {
    mock = await start();
    const models = await new LlamaServer({ url: mock.url, slots: 9 }).listModels(soon());
    expect(models.map(({ id, slots }) => [id, slots])).toContainEqual(['small:1b', 2]);
  });

  it('that is ours is starting until it was reached, and has failed when it is lost', async () => {
    mock = await start();
    const runtime = new LlamaServer({ url: mock.url, mode: 'owned' });
    const gone = new LlamaServer({ url: 'http://127.0.0.1:1', mode: 'owned' });
    await expect(gone.listModels(soon())).rejects.toThrow();
    expect(gone.report().state).toBe('starting');
    await runtime.listModels(soon());
    await mock.close();
    await expect(runtime.listModels(soon())).rejects.toThrow();
    expect(runtime.report().state).toBe('failed');
  });

  it('says why a load failed', async () => {
    mock = await start();
    mock.engine.faults.arm({ kind: 'oom' });
    const runtime = new LlamaServer({ url: mock.url });
    await expect(runtime.loadModel('small:1b', soon())).rejects.toMatchObject({ code: 'load_failed' });
  });

  it('that is ours says that memory ran out, because it is heard', async () => {
    mock = await start();
    mock.engine.faults.arm({ kind: 'oom' });
    const process = { listen: () => () => ['[4711] failed to allocate buffer for kv cache'] };
    const runtime = new LlamaServer({ url: mock.url, process });
    await expect(runtime.loadModel('small:1b', soon())).rejects.toMatchObject({ code: 'out_of_memory' });
  });
});
