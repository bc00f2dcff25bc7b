import { describe, expect, it, onTestFinished } from 'vitest';
import { LearnedCapabilities, probeCapabilities } from './capability-probe.ts';
import { MlxServer } from './mlx.ts';
import { readRecording, startRecordedEngine } from './recorded-engine.ts';
import { type ScriptedAnswer, startScriptedEngine } from './scripted-engine.ts';
import { Vllm } from './vllm.ts';

const soon = () => AbortSignal.timeout(4_000);

const start = async (answer: (body: Record<string, unknown>) => ScriptedAnswer | undefined) => {
  const engine = await startScriptedEngine((_, body) => answer(body));
  onTestFinished(() => engine.close());
  const target = { url: new URL('/v1/chat/completions', engine.url), headers: {}, model: 'm' };
  return { engine, target };
};

const hasImage = (body: Record<string, unknown>) => JSON.stringify(body).includes('image_url');
const refused = (message: string, status = 400): ScriptedAnswer => ({ status, body: { error: { message } } });
const answered: ScriptedAnswer = { body: { choices: [] } };

describe('probeCapabilities', () => {
  it.each<[string, (body: Record<string, unknown>) => ScriptedAnswer, readonly string[] | null]>([
    ['tools and images', () => answered, ['chat', 'completion', 'json', 'tools', 'vision']],
    [
      'tools alone',
      (body) => (hasImage(body) ? refused('m is not a multimodal model') : answered),
      ['chat', 'completion', 'json', 'tools'],
    ],
    [
      'images alone',
      (body) => (body['tools'] ? refused('"auto" tool choice requires --enable-auto-tool-choice') : answered),
      ['chat', 'completion', 'json', 'vision'],
    ],
    ['vectors', () => refused('The model does not support Chat Completions API'), ['embedding']],
    ['text to go on with', () => refused('default chat template is no longer allowed'), ['completion', 'json']],
    ['nothing that can be known now', () => refused('busy', 503), null],
  ])('finds a model that takes %s', async (_, answer, found) => {
    expect(await probeCapabilities((await start(answer)).target, soon())).toEqual(found);
  });
});

describe('LearnedCapabilities', () => {
  it('asks once, and not again what it knows', async () => {
    const { engine, target } = await start(() => answered);
    const learned = new LearnedCapabilities();
    learned.learn(target);
    learned.learn(target);
    await expect.poll(() => learned.of('m')).not.toBeNull();
    learned.learn(target);
    expect(engine.asked).toHaveLength(2);
  });

  it('asks a busy engine again after a minute, five times at most', async () => {
    const { engine, target } = await start(() => refused('busy', 503));
    const learned = new LearnedCapabilities();
    for (let minute = 0; minute < 20; minute += 1) {
      const before = engine.asked.length;
      learned.learn(target, minute * 60_000 + 1);
      learned.learn(target, minute * 60_000 + 2);
      if (minute < 5) await expect.poll(() => engine.asked.length).toBe(before + 1);
      await new Promise(setImmediate);
    }
    expect(engine.asked).toHaveLength(5);
  });

  it('asks anew when the engine was started anew', async () => {
    const { engine, target } = await start(() => answered);
    const learned = new LearnedCapabilities();
    learned.learn(target);
    await expect.poll(() => learned.of('m')).not.toBeNull();
    learned.forget();
    expect(learned.of('m')).toBeNull();
    learned.learn(target);
    await expect.poll(() => engine.asked).toHaveLength(4);
  });
});

describe('a real engine that was started by a folder, as recorded', () => {
  it('vLLM has a readable name, and what it can do was asked of it', async () => {
    const engine = await startRecordedEngine(readRecording('recorded-vllm'));
    onTestFinished(() => engine.close());
    const runtime = new Vllm({ url: engine.url, probes: true });
    const [model] = await runtime.listModels(soon());
    expect(model).toMatchObject({ id: 'tiny', isLoaded: true, contextLength: 1_024 });
    expect(runtime.engineName('tiny')).toBe('/models/tiny');
    await expect.poll(() => engine.asked.filter(({ call }) => call.startsWith('POST'))).toHaveLength(2);
    await expect.poll(async () => (await runtime.listModels(soon()))[0]?.capabilities).toEqual(['chat', 'completion', 'json']);
  });

  it('mlx_lm.server has a readable name, and is loaded by its own', async () => {
    const engine = await startRecordedEngine(readRecording('recorded-mlx'));
    onTestFinished(() => engine.close());
    const runtime = new MlxServer({ url: engine.url });
    expect(await runtime.listModels(soon())).toEqual([
      expect.objectContaining({ id: 'tiny', capabilities: ['chat', 'completion'] }),
    ]);
    expect(runtime.engineName('tiny')).toBe('/models/tiny');
  });

  it('mlx_lm.server without a Hugging Face cache is ready, has no models and says why', async () => {
    const engine = await startScriptedEngine(() => ({ body: '' }));
    onTestFinished(() => engine.close());
    const runtime = new MlxServer({ url: engine.url });
    expect(await runtime.listModels(soon())).toEqual([]);
    expect(runtime.report()).toMatchObject({ state: 'ready', detail: expect.stringContaining('huggingface/hub') });
  });
});
