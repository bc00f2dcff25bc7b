import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type Conformance, runtimeConformance } from './conformance.ts';
import { type MockEngine, type MockEngineOptions, startMockEngine } from './mock-engine/mock-engine.ts';
import type { Tuning } from './mock-engine/options.ts';
import type { EngineHandle } from './runtime.ts';
import { Vllm } from './vllm.ts';
import { vllmCommand } from './vllm-launch.ts';
import { parseVllmMetrics } from './vllm-metrics.ts';

const QUICK: Partial<Tuning> = { tps: 400, prefillMs: 5, coldLoadMsPerGb: 20, unloadMs: 5, vramLagMs: 100 };
const MODEL = 'qwen/qwen3-8b';
const soon = () => AbortSignal.timeout(4_000);

const startMock = (options: Partial<MockEngineOptions> = {}): Promise<MockEngine> =>
  startMockEngine({
    dialect: 'vllm',
    vramGb: 24,
    models: `${MODEL}=5GB,ctx=2048,slots=4,caps=chat`,
    ...options,
    tuning: { ...QUICK, ...options.tuning },
  });

/** A vLLM under a supervisor's hand: it can be ended and started again on its port. */
const owned = async (options: Partial<MockEngineOptions> = {}) => {
  let mock = await startMock(options);
  const { port, url } = mock;
  let isAlive = true;
  const process: EngineHandle = {
    isAlive: () => isAlive,
    stop: async () => {
      isAlive = false;
      await mock.close();
    },
    start: () => {
      isAlive = true;
      void startMock({ ...options, port }).then((next) => {
        mock = next;
      });
    },
    listen: () => () => [],
  };
  const die = () => {
    isAlive = false;
  };
  return { url, process, current: () => mock, die };
};

const conformance = (make: (mock: MockEngine) => Vllm): Conformance => ({
  tells: { size: false },
  start: async () => {
    const mock = await startMock();
    return {
      runtime: make(mock),
      chat: MODEL,
      // One base model per process: this one chats. The one that makes vectors is another process.
      embedding: null,
      crash: async () => {
        for (const model of mock.engine.models) mock.engine.crashRunner(model);
      },
      kill: mock.close,
      busy: async () => mock.engine.census.active,
      tokensAfterAbort: () => mock.engine.census.tokensAfterAbort,
      close: mock.close,
    };
  },
});

runtimeConformance(
  'vLLM (simulated), adopted',
  conformance(({ url }) => new Vllm({ url, apiKey: 'k' })),
);
runtimeConformance(
  'vLLM (simulated) with sleep mode',
  conformance(({ url, engine }) => new Vllm({ url, sleepLevel: 1, readVramUsedBytes: () => engine.ledger.reading().usedBytes })),
);

describe('vLLM (simulated)', () => {
  let close = async () => {};
  afterEach(() => close());

  const isLoaded = async (runtime: Vllm) => (await runtime.listModels(soon()))[0]?.isLoaded;

  it('makes vectors when it serves a model for them', async () => {
    const mock = await startMock({ models: 'bge-small=0.2GB,caps=embedding' });
    close = mock.close;
    expect(await new Vllm({ url: mock.url }).listModels(soon())).toMatchObject([
      { id: 'bge-small', capabilities: ['embedding'] },
    ]);
  });

  it('is starting while its process lives and its port is closed, and has failed when the process is gone', async () => {
    let isAlive = true;
    const runtime = new Vllm({
      url: 'http://127.0.0.1:1',
      process: { isAlive: () => isAlive, stop: async () => {}, start: () => {}, listen: () => () => [] },
    });
    await expect(runtime.listModels(soon())).rejects.toMatchObject({ code: 'engine_unreachable' });
    expect(runtime.report()).toMatchObject({ state: 'starting', mode: 'owned' });
    isAlive = false;
    await expect(runtime.listModels(soon())).rejects.toThrow();
    expect(runtime.report().state).toBe('failed');
  });

  it('has failed when its core is dead, although its port answers', async () => {
    const mock = await startMock();
    close = mock.close;
    const runtime = new Vllm({ url: mock.url });
    await runtime.listModels(soon());
    for (const model of mock.engine.models) mock.engine.crashRunner(model);
    await expect(runtime.listModels(soon())).rejects.toMatchObject({ code: 'engine_crashed' });
    expect(runtime.report()).toMatchObject({ state: 'failed', detail: expect.stringContaining('503') });
  });

  it('gives the GPU back when it sleeps, and the GPU shows it', async () => {
    const mock = await startMock();
    close = mock.close;
    const used = () => mock.engine.ledger.reading().usedBytes;
    const runtime = new Vllm({ url: mock.url, sleepLevel: 1, readVramUsedBytes: used });
    await runtime.listModels(soon());
    const before = used();
    await runtime.unloadModel(MODEL, soon());
    expect(used()).toBeLessThan(before * 0.2);
    expect(await isLoaded(runtime)).toBe(false);
    await runtime.loadModel(MODEL, soon());
    expect(used()).toBeGreaterThan(before * 0.9);
    expect(await isLoaded(runtime)).toBe(true);
  });

  it('is not believed when it says that it sleeps and the memory is still taken', async () => {
    const mock = await startMock();
    close = mock.close;
    const stuck = mock.engine.ledger.reading().usedBytes;
    const runtime = new Vllm({
      url: mock.url,
      sleepLevel: 1,
      readVramUsedBytes: () => stuck,
      convinceLimitMs: 300,
    });
    await runtime.listModels(soon());
    await expect(runtime.unloadModel(MODEL, soon())).rejects.toMatchObject({ detail: expect.stringContaining('still in use') });
  });

  it('that is ours and lies about its sleep is ended, stays on offer, and starts with the next load', async () => {
    const { url, process, current } = await owned();
    close = () => current().close();
    const stuck = current().engine.ledger.reading().usedBytes;
    const runtime = new Vllm({ url, sleepLevel: 1, process, readVramUsedBytes: () => stuck, convinceLimitMs: 300 });
    await runtime.listModels(soon());
    await runtime.unloadModel(MODEL, soon());
    expect(process.isAlive()).toBe(false);
    expect(await isLoaded(runtime)).toBe(false);
    expect(runtime.report()).toMatchObject({ state: 'ready', detail: expect.stringContaining('ended') });
    await runtime.loadModel(MODEL, soon());
    expect(await isLoaded(runtime)).toBe(true);
  });

  it('that is ours and dies of its sleep while it answers 200 is ended and starts anew', async () => {
    const { url, process, current } = await owned();
    close = () => current().close();
    const runtime = new Vllm({
      url,
      sleepLevel: 1,
      process,
      readVramUsedBytes: () => current().engine.ledger.reading().usedBytes,
      convinceLimitMs: 300,
    });
    await runtime.listModels(soon());
    current().engine.faults.arm({ kind: 'sleep-crash' });
    await runtime.unloadModel(MODEL, soon());
    await runtime.loadModel(MODEL, soon());
    expect(await isLoaded(runtime)).toBe(true);
  });

  it('that is ours and knows no sleep is unloaded by ending it', async () => {
    const { url, process, current } = await owned();
    close = () => current().close();
    const runtime = new Vllm({ url, process });
    await runtime.listModels(soon());
    await runtime.unloadModel(MODEL, soon());
    expect(process.isAlive()).toBe(false);
    await runtime.loadModel(MODEL, soon());
    expect(await isLoaded(runtime)).toBe(true);
  });

  it('says that a load failed when its process ends while it starts', async () => {
    const { url, process, current, die } = await owned();
    close = () => current().close();
    const runtime = new Vllm({ url, process: { ...process, start: die } });
    await runtime.listModels(soon());
    await runtime.unloadModel(MODEL, soon());
    await expect(runtime.loadModel(MODEL, soon())).rejects.toMatchObject({ code: 'load_failed' });
  });

  it('wakes from a sleep that dropped the weights in three steps, and only then serves', async () => {
    const { url, calls, stop } = await scripted();
    close = stop;
    const runtime = new Vllm({ url, sleepLevel: 2 });
    await runtime.listModels(soon());
    await runtime.unloadModel(MODEL, soon());
    await runtime.loadModel(MODEL, soon());
    expect(calls.filter((call) => call.startsWith('POST'))).toEqual([
      'POST /sleep?level=2 ',
      'POST /wake_up?tags=weights ',
      'POST /collective_rpc {"method":"reload_weights"}',
      'POST /wake_up?tags=kv_cache ',
    ]);
  });

  it('is not asked for what only its development routes tell, unless it was started with them', async () => {
    const { url, calls, stop } = await scripted();
    close = stop;
    await new Vllm({ url }).listModels(soon());
    expect(calls).toEqual(['GET /health ', 'GET /version ', 'GET /v1/models ']);
  });

  it('tells what it counts', async () => {
    const mock = await startMock();
    close = mock.close;
    expect(await new Vllm({ url: mock.url }).figures(soon())).toMatchObject({ running: 0, waiting: 0, sleepState: 'awake' });
  });
});

/** A vLLM that only remembers what it was asked. */
const scripted = async () => {
  const calls: string[] = [];
  let isSleeping = false;
  const program: Server = createServer((request, response) => {
    let body = '';
    request.on('data', (piece) => (body += piece));
    request.on('end', () => {
      calls.push(`${request.method} ${request.url} ${body}`);
      if (request.url?.startsWith('/sleep')) isSleeping = true;
      if (request.url === '/wake_up?tags=kv_cache') isSleeping = false;
      const pages: Record<string, unknown> = {
        '/version': { version: '0.19.0' },
        '/v1/models': { data: [{ id: MODEL, max_model_len: 512 }] },
        '/is_sleeping': { is_sleeping: isSleeping },
      };
      response.end(request.url === '/metrics' ? '' : JSON.stringify(pages[request.url ?? ''] ?? {}));
    });
  });
  await new Promise<void>((resolve) => program.listen(0, '127.0.0.1', resolve));
  const stop = async () => {
    program.closeAllConnections();
    program.close();
  };
  return { url: `http://127.0.0.1:${(program.address() as AddressInfo).port}`, calls, stop };
};

describe("vLLM's launch", () => {
  it('is on loopback, with its key out of sight and the development routes shut', () => {
    const { file, args, env } = vllmCommand({ model: MODEL, port: 8_123, apiKey: 'secret' });
    expect([file, ...args].join(' ')).toBe(`vllm serve ${MODEL} --host 127.0.0.1 --port 8123`);
    expect(env).toMatchObject({ VLLM_API_KEY: 'secret', VLLM_SERVER_DEV_MODE: '0' });
  });

  it('opens the development routes only together with sleep mode', () => {
    const { args, env } = vllmCommand({ model: MODEL, port: 1, apiKey: 'k', hasSleepMode: true });
    expect(args).toContain('--enable-sleep-mode');
    expect(args.slice(args.indexOf('--host'), args.indexOf('--host') + 2)).toEqual(['--host', '127.0.0.1']);
    expect(env['VLLM_SERVER_DEV_MODE']).toBe('1');
  });

  it('passes on what its owner wants', () => {
    const { args } = vllmCommand({
      model: MODEL,
      port: 1,
      apiKey: 'k',
      servedName: 'qwen3',
      maxModelLength: 16_384,
      gpuMemoryUtilization: 0.85,
      maxSequences: 16,
      isEager: true,
    });
    expect(args.join(' ')).toContain(
      '--served-model-name qwen3 --max-model-len 16384 --gpu-memory-utilization 0.85 --max-num-seqs 16 --enforce-eager',
    );
  });
});

describe("vLLM's figures", () => {
  it('are summed over engines, by today’s names and by older ones', () => {
    const text = [
      '# HELP vllm:num_requests_running Number of requests in model execution batches.',
      'vllm:num_requests_running{engine="0",model_name="m"} 2.0',
      'vllm:num_requests_running{engine="1",model_name="m"} 3.0',
      'vllm:gpu_cache_usage_perc{engine="0",model_name="m"} 0.25',
      'vllm:generation_tokens_total{engine="0",model_name="m"} 1.5e+06',
      'vllm:engine_sleep_state{engine="0",sleep_state="awake"} 0.0',
      'vllm:engine_sleep_state{engine="0",sleep_state="weights_offloaded"} 1.0',
      'process_cpu_seconds_total 9.0',
      'vllm:num_requests_waiting{engine="0"} NaN',
    ].join('\n');
    expect(parseVllmMetrics(text)).toEqual({
      running: 5,
      waiting: null,
      kvCacheUsage: 0.25,
      promptTokens: null,
      generatedTokens: 1_500_000,
      preemptions: null,
      sleepState: 'weights_offloaded',
    });
  });
});
