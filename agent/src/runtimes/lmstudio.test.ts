import { afterEach, describe, expect, it } from 'vitest';
import { runtimeConformance } from './conformance.ts';
import { LmStudio } from './lmstudio.ts';
import { startSimulatedLmStudio } from './simulated/lmstudio.ts';

const CHAT = 'qwen/qwen3-4b';

runtimeConformance('LM Studio (simulated)', {
  start: async () => {
    const { url, door } = await startSimulatedLmStudio();
    return {
      runtime: new LmStudio({ url }),
      chat: CHAT,
      embedding: 'text-embedding-nomic',
      crash: async () => door.breakAnswers(),
      kill: () => door.close(),
      busy: async () => door.active,
      close: () => door.close(),
    };
  },
});

describe('LM Studio (simulated)', () => {
  let close = async () => {};
  afterEach(() => close());
  const set = async () => {
    const studio = await startSimulatedLmStudio();
    close = () => studio.door.close();
    return { ...studio, runtime: new LmStudio({ url: studio.url, apiKey: 'secret' }) };
  };
  const soon = () => AbortSignal.timeout(4_000);

  it('is never loaded twice with one model: that would be two copies in memory', async () => {
    const { runtime, counts } = await set();
    await runtime.loadModel(CHAT, soon());
    await runtime.loadModel(CHAT, soon());
    expect(counts.loads).toBe(1);
  });

  it('tells the context a model really has once it is loaded, and how many it runs side by side', async () => {
    const { runtime } = await set();
    const chat = async () => (await runtime.listModels(soon())).find(({ id }) => id === CHAT);
    expect(await chat()).toMatchObject({
      contextLength: 32_768,
      slots: 1,
      capabilities: ['chat', 'completion', 'json', 'tools'],
    });
    await runtime.loadModel(CHAT, soon());
    expect(await chat()).toMatchObject({ contextLength: 512, slots: 2, isLoaded: true });
  });

  it('downloads with progress; what is there already is no work', async () => {
    const { runtime } = await set();
    const seen: (number | null)[] = [];
    await runtime.pullModel('simulated/new-model', ({ completedBytes }) => seen.push(completedBytes), soon());
    expect(seen[0]).toBe(250);
    expect((await runtime.listModels(soon())).map(({ id }) => id)).toContain('simulated/new-model');
    await runtime.pullModel('simulated/new-model', () => {}, soon());
    await expect(runtime.pullModel('nobody/has-this', () => {}, soon())).rejects.toMatchObject({ code: 'model_not_found' });
  });

  it('is sent its key with every request', async () => {
    const { runtime } = await set();
    expect(runtime.endpoint('chat.completions').headers).toEqual({ authorization: 'Bearer secret' });
  });
});
