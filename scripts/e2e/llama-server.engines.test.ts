import { mkdirSync, mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { env } from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TrialAttempt } from '../../agent/src/attempts/trial-attempt.ts';
import { runtimeConformance } from '../../agent/src/runtimes/conformance.ts';
import { watchModelsDir } from '../../agent/src/runtimes/llama-models-dir.ts';
import { LlamaServer } from '../../agent/src/runtimes/llama-server.ts';
import { EngineProcess } from '../../agent/src/supervisor/engine-process.ts';
import { LastLines } from '../../agent/src/supervisor/last-lines.ts';
import type { FleetStatus } from '../../shared/src/admin-api.ts';
import { ensureSteadyModel, ensureTinyModels, writeModel } from '../engines/gguf.ts';
import { ensureLlamaServer } from '../engines/llama-server.ts';
import { freePort, RunningEngine } from '../engines/running-engine.ts';
import { Fleet } from './fleet.ts';

const found = await ensureLlamaServer();
const program = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`SKIPPED: every test against a real llama-server. ${found.missing}`);
const title = 'path' in found ? `a real llama-server (${found.version})` : `SKIPPED, no llama-server here: ${found.missing}`;

const dir = mkdtempSync(join(tmpdir(), 'lai-llama-'));
const models = join(dir, 'models');
const SLOTS = 2;

const soon = () => AbortSignal.timeout(20_000);

const start = async (modelsDir = models) => {
  const presetFile = join(modelsDir, '..', 'preset.ini');
  const refresh = watchModelsDir({ dir: modelsDir, presetFile, contextLength: null, slots: SLOTS });
  await refresh();
  const engine = await RunningEngine.start({
    program,
    args: [
      ...['--host', '127.0.0.1', '--port', '{port}', '--models-dir', modelsDir, '--models-preset', presetFile],
      ...['--models-max', '2', '-np', String(SLOTS), '-t', '1', '--no-ui', '--offline'],
    ],
    path: '/health',
  });
  return { engine, runtime: new LlamaServer({ url: engine.url, slots: SLOTS, refresh }) };
};

const busySlots = async (url: string, model: string): Promise<number> => {
  const answer = await fetch(`${url}/slots?model=${model}&autoload=false`);
  const slots = (await answer.json()) as { is_processing: boolean }[];
  return slots.filter((slot) => slot.is_processing).length;
};

describe.skipIf('missing' in found)(title, () => {
  beforeAll(() => {
    mkdirSync(models, { recursive: true });
    ensureTinyModels(models);
    ensureSteadyModel(models);
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  runtimeConformance('llama-server', {
    limitMs: 20_000,
    start: async () => {
      const { engine, runtime } = await start();
      return {
        runtime,
        chat: 'steady',
        embedding: 'tiny-embed',
        crash: async () => engine.killRunners(),
        kill: () => engine.kill(),
        busy: () => busySlots(engine.url, 'steady'),
        close: () => engine.kill(),
      };
    },
  });

  describe('and its models folder', () => {
    const folder = join(dir, 'growing', 'models');
    let engine: RunningEngine;
    let runtime: LlamaServer;

    beforeAll(async () => {
      writeModel(join(folder, 'first.gguf'), { name: 'first' });
      ({ engine, runtime } = await start(folder));
    });
    afterAll(() => engine?.kill());

    const list = async () => runtime.listModels(soon());

    it('shows what each model is for, from its file', async () => {
      expect(await list()).toMatchObject([
        { id: 'first', capabilities: ['chat', 'completion', 'json'], contextLength: 2_048, slots: SLOTS, isLoaded: false },
      ]);
    });

    it('takes a model that is put into it while it runs, and leaves the loaded one alone', async () => {
      await runtime.loadModel('first', soon());
      writeModel(join(folder, 'second one.gguf'), { name: 'second', embed: true, context: 512 });
      expect(await list()).toMatchObject([
        { id: 'first', isLoaded: true },
        { id: 'second one', isLoaded: false, capabilities: ['embedding'], contextLength: 512 },
      ]);
      await runtime.loadModel('second one', soon());
      const { seen } = new TrialAttempt({ runtime, route: 'embeddings', body: { model: 'second one', input: 'cold rain' } });
      expect((await seen).ending.type).toBe('attempt.end');
    });

    it('embeds the beginning of an input that is too long, where its client allows that', async () => {
      const embed = (truncate: boolean) => {
        const body = { model: 'second one', input: ['cold', 'hello world '.repeat(3_000)], truncate };
        return new TrialAttempt({ runtime, route: 'embeddings', body }).seen;
      };
      const cut = await embed(true);
      expect(cut.ending.type).toBe('attempt.end');
      expect(JSON.parse(cut.raw).data).toHaveLength(2);
      expect((await embed(false)).ending).toMatchObject({ type: 'attempt.fail', code: 'context_length_exceeded' });
    });

    it('knows a model with a projector as one that sees, and shards as one model', async () => {
      const many = join(folder, 'many');
      for (const name of ['a-00001-of-00002.gguf', 'a-00002-of-00002.gguf', 'mmproj-a.gguf']) writeModel(join(many, name));
      const model = (await list()).find(({ id }) => id === 'many');
      expect(model?.capabilities).toContain('vision');
      rmSync(many, { recursive: true });
      expect((await list()).map(({ id }) => id)).toEqual(['first', 'second one']);
    });

    it('says what a context is once the model has it', async () => {
      const wide = join(dir, 'wide', 'models');
      writeModel(join(wide, 'first.gguf'), { name: 'first' });
      const presetFile = join(dir, 'wide', 'preset.ini');
      const refresh = watchModelsDir({ dir: wide, presetFile, contextLength: 512, slots: SLOTS });
      await refresh();
      const other = await RunningEngine.start({
        program,
        args: [
          ...['--host', '127.0.0.1', '--port', '{port}', '--models-dir', wide, '--models-preset', presetFile],
          ...['-np', String(SLOTS), '-t', '1', '--no-ui', '--offline'],
        ],
        path: '/health',
      });
      try {
        const narrow = new LlamaServer({ url: other.url, refresh });
        const context = async () => (await narrow.listModels(soon()))[0]?.contextLength;
        expect(await context()).toBe(512);
        await narrow.loadModel('first', soon());
        expect(await context()).toBe(512);
      } finally {
        await other.kill();
      }
    });
  });

  describe('that is ours, with a context for which no machine has the memory', () => {
    const folder = join(dir, 'huge', 'models');
    const presetFile = join(dir, 'huge', 'preset.ini');
    const lines = new LastLines();
    let engine: EngineProcess;
    let runtime: LlamaServer;

    beforeAll(async () => {
      // 64,000 bytes a token, of which two slots want four million each.
      writeModel(join(folder, 'wide.gguf'), { dim: 32, heads: 2, kvHeads: 2, feedForward: 64, layers: 500, context: 2 ** 22 });
      truncateSync(writeModel(join(folder, 'broken.gguf'), { name: 'broken' }).path, 300_000);
      const refresh = watchModelsDir({ dir: folder, presetFile, contextLength: 2 ** 22, slots: SLOTS });
      await refresh();
      const port = await freePort();
      const args = [
        ...['--host', '127.0.0.1', '--port', String(port), '--models-dir', folder, '--models-preset', presetFile],
        ...['--models-max', '2', '-np', String(SLOTS), '-t', '1', '--no-ui', '--offline'],
      ];
      // Limited, for machines whose kernel promises memory that it does not have.
      const command = { file: 'sh', args: ['-c', 'ulimit -v 12000000; exec "$@"', 'sh', program, ...args] };
      engine = new EngineProcess(command, (line) => lines.add(line));
      runtime = new LlamaServer({ url: `http://127.0.0.1:${port}`, mode: 'owned', slots: SLOTS, refresh, process: lines });
      const isComing = () =>
        runtime.listModels(soon()).then(
          () => false,
          () => true,
        );
      while (await isComing()) await pause(50);
    });
    afterAll(() => engine?.stop());

    it('knows beforehand what it would take, to the byte', async () => {
      const heard = lines.listen();
      const model = (await runtime.listModels(soon())).find(({ id }) => id === 'wide');
      await runtime.loadModel('wide', soon()).catch(() => {});
      expect(model?.contextBytes).toBe(64_000 * 2 ** 23);
      expect(heard().join('\n')).toContain(`failed to allocate CPU buffer of size ${model?.contextBytes}`);
    });

    it('says that memory ran out, and only of the model for which it did', async () => {
      const code = (id: string) => runtime.loadModel(id, soon()).catch((error: { code: string }) => error.code);
      expect(await Promise.all([code('wide'), code('broken')])).toEqual(['out_of_memory', 'load_failed']);
    });
  });

  describe('behind a coordinator and an agent, for the unmodified openai client', () => {
    let fleet: Fleet;
    let client: OpenAI;

    beforeAll(async () => {
      fleet = await Fleet.start({
        nodes: [
          {
            name: 'real',
            models: '',
            agentArgs: ['--runtime', 'llama-server', '--models-dir', models],
            agentEnv: {
              PATH: `${dirname(program)}${delimiter}${env['PATH']}`,
              LAI_LLAMA_SERVER_SLOTS: String(SLOTS),
              LAI_LOCAL_PORT: '0',
            },
          },
        ],
      });
      client = new OpenAI({ baseURL: `${fleet.url}/v1`, apiKey: fleet.key, maxRetries: 0 });
    });
    afterAll(async () => {
      // Politely: an agent that is killed leaves its engine to the sweep of its next start, which never comes here.
      const agent = fleet?.node('real').agent;
      agent?.kill('SIGTERM');
      await agent?.exited;
      await fleet?.stop();
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
      expect(answer.choices[0]?.message.content).toMatch(/\S/);
      expect(answer.usage).toMatchObject({ completion_tokens: 40 });
    });

    it('stops the engine when the client leaves', async () => {
      // A model of random weights may end after any token, and this one has to be still at it when we look.
      const endless = { ...ask, max_tokens: 1_500, ignore_eos: true };
      const stream = await client.chat.completions.create({ ...endless, stream: true });
      for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
      const inFlight = (count: number) => (status: FleetStatus) =>
        status.nodes.every(({ snapshot }) => snapshot?.inFlight === count);
      await fleet.until('it runs', inFlight(1));
      stream.controller.abort();
      await fleet.until('the slot is free', inFlight(0));
    });

    it('completes a text', async () => {
      const answer = await client.completions.create({ model: 'steady', prompt: 'cold rain', max_tokens: 8 });
      expect(answer.choices[0]?.text).toMatch(/\S/);
    });

    it('makes vectors', async () => {
      const { data } = await client.embeddings.create({ model: 'tiny-embed', input: ['cold', 'rain'], encoding_format: 'float' });
      expect(data.map(({ embedding }) => embedding.length)).toEqual([64, 64]);
    });

    it('says that a prompt is too long', async () => {
      const long = [{ role: 'user' as const, content: 'word '.repeat(4_000) }];
      await expect(client.chat.completions.create({ ...ask, messages: long })).rejects.toMatchObject({
        status: 400,
        code: 'context_length_exceeded',
      });
    });

    it('lists models of the engine, and nothing about them is simulated', async () => {
      const { data } = await client.models.list();
      expect(data.map(({ id }) => id)).toEqual(expect.arrayContaining(['steady', 'tiny-chat', 'tiny-embed']));
      expect((await fleet.status()).nodes[0]?.snapshot?.runtimes).toMatchObject([
        { kind: 'llama-server', state: 'ready', mode: 'owned', isSimulated: false },
      ]);
    });
  });
});
