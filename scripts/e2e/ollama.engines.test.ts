import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { TrialRoom } from '../../agent/src/models/trial-room.ts';
import { runtimeConformance } from '../../agent/src/runtimes/conformance.ts';
import { Ollama } from '../../agent/src/runtimes/ollama.ts';
import { ensureSteadyModel, ensureTinyModels, writeModel } from '../engines/gguf.ts';
import { type ModelRegistry, openModelRegistry } from '../engines/model-registry.ts';
import { findOllama, importGguf } from '../engines/ollama.ts';
import { RunningEngine } from '../engines/running-engine.ts';
import { Fleet } from './fleet.ts';

const found = await findOllama();
const program = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`SKIPPED: every test against a real Ollama. ${found.missing}; \`pnpm engines\` builds one`);
const title = 'path' in found ? `a real Ollama (${found.version})` : `SKIPPED, no Ollama here: ${found.missing}`;

const dir = mkdtempSync(join(tmpdir(), 'lai-ollama-'));
const soon = () => AbortSignal.timeout(30_000);

const start = () =>
  RunningEngine.start({
    program,
    args: ['serve'],
    path: '/api/version',
    env: {
      OLLAMA_HOST: '127.0.0.1:{port}',
      OLLAMA_MODELS: join(dir, 'store'),
      OLLAMA_NO_CLOUD: '1',
      // Pulls are interrupted here, and a new start must not throw away what they left.
      OLLAMA_NOPRUNE: '1',
      HOME: dir,
    },
  });

describe.skipIf('missing' in found)(title, () => {
  let registry: ModelRegistry;
  const files = { chat: '', embed: '', steady: '' };

  beforeAll(async () => {
    Object.assign(files, ensureTinyModels(join(dir, 'files')));
    files.steady = ensureSteadyModel(join(dir, 'files'));
    // Other bytes than the imported model's, which Ollama would recognise.
    const remote = writeModel(join(dir, 'files', 'remote.gguf'), {
      dim: 384,
      layers: 6,
      heads: 6,
      kvHeads: 3,
      feedForward: 1024,
      seed: 7,
    });
    registry = await openModelRegistry({ file: remote.path, bytesPerSecond: 30_000_000 });
    const engine = await start();
    await importGguf({ url: engine.url, model: 'steady', file: files.steady, signal: soon() });
    await importGguf({ url: engine.url, model: 'tiny-chat', file: files.chat, signal: soon() });
    await importGguf({ url: engine.url, model: 'tiny-embed', file: files.embed, signal: soon() });
    await engine.kill();
  });
  afterAll(async () => {
    await registry?.close();
    rmSync(dir, { recursive: true, force: true });
  });

  runtimeConformance('Ollama', {
    limitMs: 30_000,
    // Ollama of before 0.30 cuts a prompt that is too long, and says nothing.
    ...(/^0\.[12]?\d\./.test('version' in found ? found.version : '') ? { hasContextLimit: false as const } : {}),
    start: async () => {
      const engine = await start();
      return {
        runtime: new Ollama({ url: engine.url }),
        chat: 'steady:latest',
        embedding: 'tiny-embed:latest',
        crash: async () => engine.killRunners(),
        kill: () => engine.kill(),
        close: () => engine.kill(),
      };
    },
  });

  describe('and its models', () => {
    let engine: RunningEngine;
    let runtime: Ollama;

    beforeAll(async () => {
      engine = await start();
      runtime = new Ollama({ url: engine.url });
    });
    afterAll(() => engine?.kill());

    const names = async () => (await runtime.listModels(soon())).map(({ id }) => id);
    const room = () => new TrialRoom({ runtime, allowed: [`${registry.host}/*`] });
    const ended = (trial: TrialRoom, commandId: string) =>
      vi.waitFor(
        () => {
          expect(trial.result(commandId)).toBeDefined();
          return trial.result(commandId);
        },
        { timeout: 30_000 },
      );

    it('are pulled with progress, canceled, gone on with where it stopped, and deleted', async () => {
      const trial = room();
      const model = `${registry.host}/library/demo:latest`;
      trial.obey({ type: 'model.pull', commandId: 'first', model });
      await vi.waitFor(() => expect(trial.progress('first').at(-1)).toBeGreaterThan(5_000_000), { timeout: 20_000 });
      trial.obey({ type: 'model.cancel', commandId: 'first' });
      expect(await ended(trial, 'first')).toMatchObject({ ok: false, code: 'canceled' });
      expect(await names()).not.toContain(model);

      trial.obey({ type: 'model.pull', commandId: 'second', model });
      expect(await ended(trial, 'second')).toMatchObject({ ok: true });
      expect(trial.progress('second')[0]).toBeGreaterThan(4_000_000);
      const size = (await runtime.listModels(soon())).find(({ id }) => id === model)?.sizeBytes ?? 0;
      expect(size).toBeGreaterThan(30_000_000);
      // What had come before the stop was not fetched again, but for what was on its way.
      expect(registry.sentBytes()).toBeLessThan(size * 1.3);

      trial.obey({ type: 'model.load', commandId: 'third', model });
      expect(await ended(trial, 'third')).toMatchObject({ ok: true });
      trial.obey({ type: 'model.delete', commandId: 'fourth', model });
      expect(await ended(trial, 'fourth')).toMatchObject({ ok: true });
      expect(await names()).not.toContain(model);
      expect(trial.stateOf(model)).toBeUndefined();
    });

    it('are not pulled from where the owner does not allow it, nor when nobody has them', async () => {
      const trial = room();
      trial.obey({ type: 'model.pull', commandId: 'first', model: 'somewhere.example/library/demo' });
      expect(await ended(trial, 'first')).toMatchObject({ ok: false, code: 'permission_denied' });
      trial.obey({ type: 'model.pull', commandId: 'second', model: `${registry.host}/library/no-such-model` });
      expect(await ended(trial, 'second')).toMatchObject({ ok: false, code: 'model_not_found' });
    });

    it('are unloaded when they were idle for too long, exchanged while it runs, and kept when they are pinned', async () => {
      const trial = room();
      const { models } = trial;
      const expiry = async (id: string) => (await runtime.listModels(soon())).find((model) => model.id === id)?.expiresAtMs;
      await models.refresh(runtime);
      await models.load('steady');
      expect(trial.stateOf('steady:latest')).toBe('warm');

      trial.obey({ type: 'model.load', commandId: 'swap', model: 'tiny-chat', replaces: 'steady' });
      expect(await ended(trial, 'swap')).toMatchObject({ ok: true });
      await models.refresh(runtime);
      expect([trial.stateOf('steady:latest'), trial.stateOf('tiny-chat:latest')]).toEqual(['cold', 'warm']);

      models.pin(['tiny-chat']);
      await vi.waitFor(async () => expect(await expiry('tiny-chat:latest')).toBeNull(), { timeout: 5_000 });
      trial.pass(3_600_000);
      expect(trial.stateOf('tiny-chat:latest')).toBe('warm');

      models.pin([]);
      await vi.waitFor(async () => expect(await expiry('tiny-chat:latest')).not.toBeNull(), { timeout: 5_000 });
      await models.refresh(runtime);
      trial.pass(3_600_000);
      await vi.waitFor(() => expect(trial.stateOf('tiny-chat:latest')).toBe('cold'), { timeout: 10_000 });
      expect((await runtime.listModels(soon())).filter(({ isLoaded }) => isLoaded)).toEqual([]);
    });
  });

  describe('behind a coordinator and an agent that adopted it, for the unmodified openai client', () => {
    let engine: RunningEngine;
    let fleet: Fleet;
    let client: OpenAI;

    beforeAll(async () => {
      engine = await start();
      fleet = await Fleet.start({
        nodes: [
          {
            name: 'real',
            models: '',
            agentArgs: ['--runtime', 'ollama', '--ollama-url', engine.url],
            agentEnv: { LAI_LOCAL_PORT: '0' },
          },
        ],
      });
      client = new OpenAI({ baseURL: `${fleet.url}/v1`, apiKey: fleet.key, maxRetries: 0 });
    });
    afterAll(async () => {
      await fleet?.stop();
      await engine?.kill();
    });

    const messages = [{ role: 'user' as const, content: 'cold rain' }];
    const ask = { model: 'steady', messages, max_tokens: 40, temperature: 2, frequency_penalty: 1.5 };

    it('streams from a cold model', async () => {
      const stream = await client.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } });
      let text = '';
      let finish: string | null = null;
      let tokens = 0;
      for await (const chunk of stream) {
        text += chunk.choices[0]?.delta.content ?? '';
        finish = chunk.choices[0]?.finish_reason ?? finish;
        tokens = chunk.usage?.completion_tokens ?? tokens;
      }
      expect(text).toMatch(/\S/);
      expect({ finish, tokens }).toEqual({ finish: 'length', tokens: 40 });
    });

    it('answers whole', async () => {
      const answer = await client.chat.completions.create(ask);
      expect(answer.choices[0]).toMatchObject({ finish_reason: 'length', message: { role: 'assistant' } });
      expect(answer.usage).toMatchObject({ completion_tokens: 40 });
    });

    it('stops the engine when the client leaves, so that its one slot is free', async () => {
      const stream = await client.chat.completions.create({ ...ask, max_tokens: 1_500, stream: true });
      for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
      stream.controller.abort();
      const leftAtMs = performance.now();
      await client.chat.completions.create({ ...ask, max_tokens: 1 });
      // 1,500 tokens take this model several seconds.
      expect(performance.now() - leftAtMs).toBeLessThan(2_000);
    });

    it('makes vectors', async () => {
      const { data } = await client.embeddings.create({ model: 'tiny-embed', input: ['cold', 'rain'], encoding_format: 'float' });
      expect(data.map(({ embedding }) => embedding.length)).toEqual([64, 64]);
    });

    it('does not pretend that a crashed answer is complete', async () => {
      const stream = await client.chat.completions.create({ ...ask, max_tokens: 1_500, stream: true });
      const reading = (async () => {
        for await (const chunk of stream) if (chunk.choices[0]?.delta.content) engine.killRunners();
      })();
      await expect(reading).rejects.toMatchObject({
        code: expect.stringMatching(/^(engine_crashed|incomplete_answer|engine_error)$/),
      });
      const again = await client.chat.completions.create({ ...ask, max_tokens: 2 });
      expect(again.choices[0]?.finish_reason).toBe('length');
    });

    it('adopted it: it is still there when the agent is gone', async () => {
      expect((await fleet.status()).nodes[0]?.snapshot?.runtimes).toMatchObject([
        { kind: 'ollama', state: 'ready', mode: 'adopted', isSimulated: false },
      ]);
      const agent = fleet.node('real').agent;
      agent.kill('SIGTERM');
      await agent.exited;
      expect((await fetch(`${engine.url}/api/version`)).ok).toBe(true);
    });
  });
});
