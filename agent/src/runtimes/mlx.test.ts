import { afterEach, describe, expect, it } from 'vitest';
import { TrialAttempt } from '../attempts/trial-attempt.ts';
import { runtimeConformance } from './conformance.ts';
import { MlxServer } from './mlx.ts';
import { startSimulatedMlx } from './simulated/mlx.ts';

const CHAT = 'mlx-community/Llama-3.2-3B-Instruct-4bit';
const OTHER = 'mlx-community/Qwen3-4B-4bit';
const soon = () => AbortSignal.timeout(4_000);

runtimeConformance('mlx_lm.server (simulated)', {
  tells: { size: false, context: false },
  hasContextLimit: false,
  start: async () => {
    const { url, door } = await startSimulatedMlx({ models: [CHAT, OTHER] });
    return {
      runtime: new MlxServer({ url }),
      chat: CHAT,
      embedding: null,
      crash: async () => door.breakAnswers(),
      kill: () => door.close(),
      busy: async () => door.active,
      close: () => door.close(),
    };
  },
});

describe('mlx_lm.server (simulated)', () => {
  let close = async () => {};
  afterEach(() => close());
  const set = async () => {
    let simulated = await startSimulatedMlx({ models: [CHAT, OTHER] });
    close = () => simulated.door.close();
    let isAlive = true;
    const printed: string[] = [];
    const process = {
      isAlive: () => isAlive,
      listen: () => () => printed,
      stop: async () => {
        isAlive = false;
        await simulated.door.close();
      },
      start: () => {
        isAlive = true;
        void startSimulatedMlx({ models: [CHAT, OTHER], port: Number(new URL(simulated.url).port) }).then((next) => {
          simulated = next;
        });
      },
    };
    return { simulated, runtime: new MlxServer({ url: simulated.url, process }), printed };
  };
  const loaded = async (runtime: MlxServer) =>
    (await runtime.listModels(soon())).filter(({ isLoaded }) => isLoaded).map(({ id }) => id);

  it('has one model in memory: the one that answered last', async () => {
    const { runtime } = await set();
    expect(await loaded(runtime)).toEqual([]);
    await runtime.loadModel(CHAT, soon());
    expect(await loaded(runtime)).toEqual([CHAT]);
    await runtime.loadModel(OTHER, soon());
    expect(await loaded(runtime)).toEqual([OTHER]);
    runtime.served(CHAT);
    expect(await loaded(runtime)).toEqual([CHAT]);
  });

  it('that is ours is unloaded by ending it, stays on offer, and comes back with the next load', async () => {
    const { runtime } = await set();
    await runtime.listModels(soon());
    await runtime.loadModel(CHAT, soon());
    await runtime.unloadModel(CHAT);
    expect(await loaded(runtime)).toEqual([]);
    expect((await runtime.listModels(soon())).map(({ id }) => id)).toEqual([CHAT, OTHER]);
    expect(runtime.report()).toMatchObject({ state: 'ready', detail: expect.stringContaining('ended') });
    await runtime.loadModel(OTHER, soon());
    expect(await loaded(runtime)).toEqual([OTHER]);
  });

  it('that is ours and dies of a model that is too large says so', async () => {
    const { simulated, runtime, printed } = await set();
    await runtime.listModels(soon());
    await simulated.door.close();
    await expect(runtime.loadModel(CHAT, soon())).rejects.toMatchObject({ code: 'engine_unreachable' });
    printed.push('[METAL] Command buffer execution failed: Insufficient Memory (kIOGPUCommandBufferCallbackErrorOutOfMemory)');
    await expect(runtime.loadModel(CHAT, soon())).rejects.toMatchObject({ code: 'out_of_memory' });
  });

  it.each([
    ['#fail', 'out_of_memory'],
    ['#odd', 'engine_error'],
  ])('says 404 to a failed generation, which is no missing model: %s', async (prompt, code) => {
    const { runtime } = await set();
    const { seen } = new TrialAttempt({
      runtime,
      route: 'chat.completions',
      body: { model: CHAT, stream: true, messages: [{ role: 'user', content: prompt }] },
    });
    expect((await seen).ending).toMatchObject({ type: 'attempt.fail', code });
  });
});
