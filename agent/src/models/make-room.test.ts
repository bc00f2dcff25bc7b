import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { RuntimeError } from '../runtimes/runtime.ts';
import { Models } from './models.ts';
import { model, ScriptedRuntime } from './scripted-runtime.ts';

const GIB = 1024 ** 3;
const warm = (id: string, sizeGib = 4) => model(id, { isLoaded: true, sizeBytes: sizeGib * GIB });
const cold = (id: string, sizeGib = 4) => model(id, { sizeBytes: sizeGib * GIB });

/** One engine that has `first` and `second` in memory, in that order, and `new` on disk. */
const setUp = (options: { freeGib?: number | null; evicts?: boolean; mode?: 'owned' | 'adopted' } = {}) => {
  const { freeGib = 3, evicts = false, mode = 'owned' } = options;
  let nowMs = 0;
  const models = new Models({
    maxConcurrent: 16,
    onChange: () => {},
    freeBytes: () => (freeGib === null ? null : freeGib * GIB),
    now: () => (nowMs += 1),
    log: pino({ level: 'silent' }),
  });
  const engine = new ScriptedRuntime({ mode, abilities: { evicts } });
  models.observe(engine, [warm('first'), warm('second'), cold('new')]);
  return { models, engine };
};

/** Lets what is under way come to its next call of the engine, and ends that. */
const step = async (engine: ScriptedRuntime, error?: unknown) => {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  engine.finish(error);
};
const outOfMemory = new RuntimeError('out_of_memory', 'cudaMalloc failed: out of memory');

describe('a load that finds no room', () => {
  it('has the model go that was not used for longest, and no more than it needs', async () => {
    const { models, engine } = setUp();
    const loaded = models.load('new');
    await step(engine);
    await step(engine);
    await loaded;
    expect(engine.calls).toEqual(['unload first', 'load new']);
    expect(models.report().map(({ id, state }) => `${id} ${state}`)).toEqual(['first cold', 'second warm', 'new warm']);
  });

  it.each<[string, (parts: ReturnType<typeof setUp>) => void]>([
    ['in use', ({ models }) => void models.take('first')],
    ['pinned', ({ models }) => models.pin(['first'])],
  ])('leaves what is %s', async (_, make) => {
    const parts = setUp();
    make(parts);
    parts.engine.calls.splice(0);
    const loaded = parts.models.load('new');
    await step(parts.engine);
    await step(parts.engine);
    await loaded;
    expect(parts.engine.calls).toEqual(['unload second', 'load new']);
  });

  it.each<[string, Parameters<typeof setUp>[0]]>([
    ['there is room', { freeGib: 8 }],
    ['the machine cannot tell', { freeGib: null }],
    ['the engine sees to it itself', { evicts: true }],
    ['the models are somebody else’s', { mode: 'adopted' }],
  ])('is simply tried when %s', async (_, options) => {
    const { models, engine } = setUp(options);
    const loaded = models.load('new');
    await step(engine);
    await loaded;
    expect(engine.calls).toEqual(['load new']);
  });

  it('has models of another engine go, which its own knows nothing of', async () => {
    const { models, engine } = setUp();
    const other = new ScriptedRuntime({ abilities: { evicts: true } });
    models.observe(other, [cold('theirs')]);
    const loaded = models.load('theirs');
    await step(engine);
    await step(other);
    await loaded;
    expect([engine.calls, other.calls]).toEqual([['unload first'], ['load theirs']]);
  });

  it('is tried once more without everything that is idle, when it needs more than its size says', async () => {
    const { models, engine } = setUp({ freeGib: 8 });
    const loaded = models.load('new');
    await step(engine, outOfMemory);
    for (let call = 0; call < 3; call += 1) await step(engine);
    await loaded;
    expect(engine.calls).toEqual(['load new', 'unload first', 'unload second', 'load new']);
  });

  it('has failed when that does not help, or when there is nothing to send away', async () => {
    const { models, engine } = setUp({ freeGib: 8 });
    const loaded = models.load('new');
    const failed = expect(loaded).rejects.toMatchObject({ code: 'out_of_memory' });
    await step(engine, outOfMemory);
    for (let call = 0; call < 2; call += 1) await step(engine);
    await step(engine, outOfMemory);
    await failed;
    const again = expect(models.load('new')).rejects.toMatchObject({ code: 'out_of_memory' });
    await step(engine, outOfMemory);
    await again;
    expect(engine.calls).toEqual(['load new', 'unload first', 'unload second', 'load new', 'load new']);
  });
});
