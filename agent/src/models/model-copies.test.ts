import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { Models, type Slot } from './models.ts';
import { model, ScriptedRuntime } from './scripted-runtime.ts';

const log = pino({ level: 'silent' });
const copies = (facts: object = {}) =>
  ['gpt-4.1:latest', 'gpt-oss:20b'].map((id) => model(id, { digest: 'same', slots: 2, vramBytes: 14e9, ...facts }));

const setUp = (listed = copies({ isLoaded: true })) => {
  const engine = new ScriptedRuntime();
  const interrupted: string[] = [];
  let nowMs = 0;
  const models = new Models({
    maxConcurrent: 16,
    idleUnloadMs: 600_000,
    onChange: () => {},
    interrupt: (id) => interrupted.push(id),
    now: () => nowMs,
    log,
  });
  models.observe(engine, listed);
  const states = () => models.report().map(({ state }) => state);
  const take = (id: string) => models.take(id) as Slot;
  const pass = (ms: number) => {
    nowMs += ms;
    models.tick({ mayLoad: true });
  };
  return { engine, models, interrupted, states, take, pass };
};

describe('two names of one copy in memory', () => {
  it('are told as such, with the requests of both', () => {
    const { models, take } = setUp();
    take('gpt-4.1:latest');
    expect(models.report().map(({ inFlight, sharedAs }) => [inFlight, sharedAs])).toEqual([
      [1, 'gpt-4.1:latest'],
      [1, 'gpt-4.1:latest'],
    ]);
  });

  it('share their slots', () => {
    const { models, take } = setUp();
    take('gpt-4.1:latest');
    const second = take('gpt-oss:20b');
    expect(models.take('gpt-4.1:latest')).toBe('node_busy');
    second.release();
    expect(models.take('gpt-oss:20b')).not.toBe('node_busy');
  });

  it('are loaded once, whoever asks', async () => {
    const { engine, models, states } = setUp(copies());
    const both = Promise.all([models.load('gpt-4.1:latest'), models.load('gpt-oss:20b')]);
    expect(states()).toEqual(['loading', 'loading']);
    engine.finish();
    await both;
    expect(engine.calls).toEqual(['load gpt-4.1:latest']);
    expect(states()).toEqual(['warm', 'warm']);
  });

  it('are not loaded again when the other one is pinned', () => {
    const { engine, models, pass } = setUp();
    models.pin(['gpt-oss:20b']);
    pass(10_000);
    pass(3_600_000);
    expect(engine.calls).toEqual(['pin gpt-oss:20b']);
  });

  it('stay while one of them is used, and go together', async () => {
    const { engine, models, interrupted, states, take, pass } = setUp();
    const slot = take('gpt-oss:20b');
    pass(3_600_000);
    expect(engine.calls).toEqual([]);
    const unloaded = models.unload('gpt-4.1:latest', { graceMs: 0 });
    await expect.poll(() => engine.calls).toEqual(['unload gpt-4.1:latest']);
    expect(interrupted).toEqual(['gpt-oss:20b']);
    slot.release();
    engine.finish();
    await unloaded;
    expect(states()).toEqual(['cold', 'cold']);
  });

  it('are one model of many when memory runs short', async () => {
    const engine = new ScriptedRuntime();
    const models = new Models({ maxConcurrent: 4, onChange: () => {}, freeBytes: () => 1e9, log });
    models.observe(engine, [...copies({ isLoaded: true }), model('big', { sizeBytes: 12e9 })]);
    const load = models.load('big');
    await expect.poll(() => engine.calls).toEqual(['unload gpt-4.1:latest']);
    engine.finish();
    await expect.poll(() => engine.calls).toEqual(['unload gpt-4.1:latest', 'load big']);
    engine.finish();
    await load;
  });
});

describe('a model that is only in memory', () => {
  it('is not unloaded for being idle again and again', () => {
    const { engine, pass } = setUp([model('gone', { isLoaded: true, capabilities: [], slots: 0 })]);
    pass(3_600_000);
    expect(engine.calls).toEqual([]);
  });
});
