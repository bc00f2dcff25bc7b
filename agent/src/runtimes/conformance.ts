import { CAPABILITIES, RuntimeReport } from '@lai/shared/node';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TrialAttempt } from '../attempts/trial-attempt.ts';
import { type PullProgress, type Runtime, RuntimeError } from './runtime.ts';

/** One engine that runs, real or simulated, and the runtime that speaks to it; made anew for every test. */
export interface EngineUnderTest {
  readonly runtime: Runtime;
  /** A chat model on its disk, not loaded unless the engine cannot help it. */
  readonly chat: string;
  /** One that makes vectors; null when this engine cannot. */
  readonly embedding: string | null;
  /** Ends what runs the chat model, in the middle of whatever it does, the way such things die. */
  crash(): Promise<void>;
  /** Ends the engine for good: nothing listens any more. */
  kill(): Promise<void>;
  /** How many requests the engine is working on, where it tells. */
  busy?(): Promise<number>;
  /** Tokens that were generated for nobody, where it tells. */
  tokensAfterAbort?(): number;
  /** A model that can be pulled, and is not there yet. */
  readonly remote?: string;
  close(): Promise<void>;
}

export interface Conformance {
  start(): Promise<EngineUnderTest>;
  /** What such an engine tells at all; everything unless said otherwise. */
  readonly tells?: { readonly size?: false; readonly context?: false; readonly missingModel?: false };
  /** Prompts that are too long are refused; false where the engine has no limit of its own. */
  readonly hasContextLimit?: false;
  /** Somebody needs this engine: it is not crashed and not killed. */
  readonly mayBeHarmed?: false;
  /** For one call to the engine. */
  readonly limitMs?: number;
}

const PATHS = new Set(['/v1/chat/completions', '/v1/completions', '/v1/embeddings']);
const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]']);

const chatBody = (model: string, more: Record<string, unknown> = {}) => ({
  model,
  messages: [{ role: 'user', content: 'cold rain' }],
  stream: true,
  stream_options: { include_usage: true },
  // Random weights fall into loops, which Ollama cuts off after thirty words of one kind (once in a dozen answers, without these).
  temperature: 2,
  frequency_penalty: 1.5,
  max_tokens: 12,
  ...more,
});

/** What every runtime keeps, whatever its engine. The engine's own disguises of failure have to stay failures. */
export function runtimeConformance(name: string, plug: Conformance): void {
  const limitMs = plug.limitMs ?? 10_000;
  const within = () => AbortSignal.timeout(limitMs);

  describe(`the ${name} runtime, as every runtime`, { timeout: limitMs * 2 }, () => {
    let engine: EngineUnderTest;
    let runtime: Runtime;

    beforeEach(async () => {
      engine = await plug.start();
      runtime = engine.runtime;
    }, 60_000);

    afterEach(async () => {
      await runtime.close();
      await engine.close();
    }, 30_000);

    const find = async (id: string) => (await runtime.listModels(within())).find((model) => model.id === id);
    const isLoaded = async (id: string) => (await find(id))?.isLoaded;
    const attempt = (
      body: Record<string, unknown> & { model: string },
      route: 'chat.completions' | 'completions' | 'embeddings',
    ) => new TrialAttempt({ runtime, route, body });
    const chat = (more?: Record<string, unknown>) => attempt(chatBody(engine.chat, more), 'chat.completions');
    /** Reads the list once, as the agent does before anything else. */
    const warm = async () => {
      await runtime.listModels(within());
      if (runtime.abilities.load) await runtime.loadModel(engine.chat, within());
    };

    it('declares what it can do and keeps to it', () => {
      if (runtime.abilities.pull) expect(runtime.pullModel).toBeDefined();
      if (runtime.abilities.delete) expect(runtime.deleteModel).toBeDefined();
      expect(runtime.abilities.routes).toContain('chat.completions');
      if (engine.embedding !== null) expect(runtime.abilities.routes).toContain('embeddings');
    });

    it('sends requests to loopback, to OpenAI paths, and nowhere else', () => {
      for (const route of runtime.abilities.routes) {
        const { url } = runtime.endpoint(route);
        expect(LOOPBACK).toContain(url.hostname);
        expect(PATHS).toContain(url.pathname);
        expect(url.search).toBe('');
      }
    });

    it('lists its models with what they can do, their context and their size', async () => {
      const model = await find(engine.chat);
      expect(model).toMatchObject({ id: engine.chat });
      expect(model?.capabilities).toContain('chat');
      for (const capability of model?.capabilities ?? []) expect(CAPABILITIES).toContain(capability);
      expect(model?.slots).toBeGreaterThan(0);
      if (plug.tells?.context !== false) expect(model?.contextLength).toBeGreaterThan(0);
      if (plug.tells?.size !== false) expect(model?.sizeBytes).toBeGreaterThan(0);
      if (engine.embedding !== null) {
        expect((await find(engine.embedding))?.capabilities).toEqual(['embedding']);
      }
    });

    it('reports itself: not ready before it was heard of, ready after, stopped when closed', async () => {
      expect(runtime.report()).toMatchObject({ kind: runtime.kind, state: 'starting' });
      await runtime.listModels(within());
      expect(RuntimeReport.parse(runtime.report())).toMatchObject({ state: 'ready' });
      await runtime.close();
      expect(runtime.report().state).toBe('stopped');
    });

    it('loads a model, and loading it again is no error', async () => {
      await warm();
      expect(await isLoaded(engine.chat)).toBe(true);
      if (runtime.abilities.load) await runtime.loadModel(engine.chat, within());
    });

    it('fails to load a model that is not there, and says so', async () => {
      await runtime.listModels(within());
      await expect(runtime.loadModel('no-such-model', within())).rejects.toMatchObject({
        name: 'RuntimeError',
        code: 'model_not_found',
      });
    });

    it('unloads a model, and unloading it again is no error; or says that it cannot', async () => {
      await warm();
      if (runtime.abilities.unload === 'no') {
        await expect(runtime.unloadModel(engine.chat, within())).rejects.toBeInstanceOf(RuntimeError);
        return;
      }
      await runtime.unloadModel(engine.chat, within());
      expect(await isLoaded(engine.chat)).toBe(false);
      await runtime.unloadModel(engine.chat, within());
      await runtime.loadModel(engine.chat, within());
      expect(await isLoaded(engine.chat)).toBe(true);
    });

    it('unloads while it answers as declared: politely, or by cutting the answer off, which then is no complete one', async () => {
      if (runtime.abilities.unload === 'no') return;
      await warm();
      const running = chat({ max_tokens: 400 });
      await running.firstContent;
      await runtime.unloadModel(engine.chat, within());
      const { ending } = await running.seen;
      if (runtime.abilities.unload === 'polite') expect(ending, JSON.stringify(ending)).toMatchObject({ type: 'attempt.end' });
      // One that was let finish in time is complete; one that was cut off is not.
      if (ending.type === 'attempt.end') expect(ending.usage?.completionTokens).toBe(400);
      expect(await isLoaded(engine.chat)).toBe(false);
    });

    it('streams a chat to a complete end with its usage', async () => {
      await warm();
      const { ending, text, kinds, raw } = await chat().seen;
      expect(ending).toMatchObject({ type: 'attempt.end', finishReason: 'length', usage: { completionTokens: 12 } });
      expect(text).toMatch(/\S/);
      expect(kinds).toContain('content');
      expect(kinds.at(-1)).toBe('usage');
      expect(raw).not.toContain('[DONE]');
    });

    it('answers from a cold model too', async () => {
      await runtime.listModels(within());
      expect((await chat().seen).ending.type).toBe('attempt.end');
    });

    it('completes a text', async () => {
      await warm();
      const body = { ...chatBody(engine.chat), messages: undefined, prompt: 'cold rain' };
      const { ending, text } = await attempt(body, 'completions').seen;
      expect(ending).toMatchObject({ type: 'attempt.end', usage: { completionTokens: 12 } });
      expect(text).toMatch(/\S/);
    });

    it('makes vectors', async () => {
      if (engine.embedding === null) return;
      await runtime.listModels(within());
      await runtime.loadModel(engine.embedding, within());
      const { ending, raw } = await attempt({ model: engine.embedding, input: ['cold', 'rain'] }, 'embeddings').seen;
      expect(ending.type).toBe('attempt.end');
      const { data } = JSON.parse(raw) as { data: { embedding: number[] }[] };
      expect(data).toHaveLength(2);
      expect(data[0]?.embedding.length).toBeGreaterThan(8);
    });

    it('stops within a token when a request is canceled, and has its slot free for the next', async () => {
      await warm();
      const slots = (await find(engine.chat))?.slots ?? 1;
      const canceled = Array.from({ length: Math.min(slots, 4) }, () => chat({ max_tokens: 1_000 }));
      await Promise.all(canceled.map((trial) => trial.firstContent));
      for (const trial of canceled) trial.stop();
      for (const trial of canceled) expect((await trial.seen).ending).toMatchObject({ type: 'attempt.fail', code: 'canceled' });
      if (engine.busy) await expect.poll(engine.busy, { timeout: 2_000 }).toBe(0);
      expect((await chat().seen).ending.type).toBe('attempt.end');
      if (engine.tokensAfterAbort) expect(engine.tokensAfterAbort()).toBeLessThanOrEqual(canceled.length);
    });

    it('tells a prompt that is too long from other failures', async () => {
      if (plug.hasContextLimit === false) return;
      await warm();
      const words = 'word '.repeat(2 * ((await find(engine.chat))?.contextLength ?? 2_048));
      const { ending } = await chat({ messages: [{ role: 'user', content: words }] }).seen;
      expect(ending).toMatchObject({ type: 'attempt.fail', code: 'context_length_exceeded' });
    });

    it('tells a model that is not there from other failures', async () => {
      if (plug.tells?.missingModel === false) return;
      await warm();
      const { ending } = await attempt(chatBody('no-such-model'), 'chat.completions').seen;
      expect(ending).toMatchObject({ type: 'attempt.fail', code: 'model_not_found' });
    });

    it.skipIf(plug.mayBeHarmed === false)('never takes an answer for complete whose engine died in the middle', async () => {
      await warm();
      const running = chat({ max_tokens: 1_000 });
      await running.firstContent;
      await engine.crash();
      const { ending, text } = await running.seen;
      expect(ending.type).toBe('attempt.fail');
      expect(['engine_crashed', 'incomplete_answer', 'engine_error']).toContain(ending.type === 'attempt.fail' && ending.code);
      expect(text).not.toBe('');
    });

    it.skipIf(plug.mayBeHarmed === false)('says that its engine is gone when it is', async () => {
      await warm();
      await engine.kill();
      const { ending } = await chat().seen;
      expect(ending).toMatchObject({ type: 'attempt.fail', code: 'engine_unreachable' });
      await expect(runtime.listModels(within())).rejects.toMatchObject({ name: 'RuntimeError', code: 'engine_unreachable' });
      expect(runtime.report().state).not.toBe('ready');
    });

    it('pulls a model with progress, goes on after a stop, and deletes it; where it can', async () => {
      const { remote } = engine;
      if (remote === undefined || !runtime.pullModel) return;
      await runtime.listModels(within());
      const stop = new AbortController();
      const stopped = runtime.pullModel(remote, ({ completedBytes }) => completedBytes && stop.abort(), stop.signal);
      await expect(stopped).rejects.toThrow();
      expect(await find(remote)).toBeUndefined();

      const progress: PullProgress[] = [];
      await runtime.pullModel(remote, (step) => progress.push(step), within());
      const bytes = progress.flatMap(({ completedBytes, totalBytes }) =>
        totalBytes ? [(completedBytes ?? 0) / totalBytes] : [],
      );
      expect(bytes.length).toBeGreaterThan(0);
      expect(Math.max(...bytes)).toBe(1);
      expect(await find(remote)).toMatchObject({ id: remote, isLoaded: false });

      if (!runtime.deleteModel) return;
      await runtime.deleteModel(remote, within());
      expect(await find(remote)).toBeUndefined();
    });

    it('says that a model cannot be pulled when nobody has it; where it can pull', async () => {
      if (!runtime.abilities.pull || !runtime.pullModel || engine.remote === undefined) return;
      const missing = engine.remote.replace(/[^/:]+(:[^/]*)?$/, 'no-such-model');
      await expect(runtime.pullModel(missing, () => {}, within())).rejects.toMatchObject({ name: 'RuntimeError' });
    });

    it('gives up when its caller does', async () => {
      const given = AbortSignal.abort(new Error('given up'));
      await expect(runtime.listModels(given)).rejects.toThrow();
      await expect(runtime.loadModel(engine.chat, given)).rejects.toThrow();
    });
  });
}
