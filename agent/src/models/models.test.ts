import type { LoadedModel, ModelFailure } from '@lai/shared/node';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { RuntimeError, type RuntimeModel } from '../runtimes/runtime.ts';
import { Models, type Slot, type SlotRefusal } from './models.ts';
import { ScriptedRuntime as Engine, model } from './scripted-runtime.ts';

const log = pino({ level: 'silent' });
const crash: ModelFailure = { code: 'engine_crashed', message: 'died', atMs: 1 };

const setUp = ({ maxConcurrent = 16, listed = [model('m')] }: { maxConcurrent?: number; listed?: RuntimeModel[] } = {}) => {
  const engine = new Engine();
  let changes = 0;
  const models = new Models({
    maxConcurrent,
    onChange: () => {
      changes += 1;
    },
    log,
  });
  models.observe(engine, listed);
  const take = (id: string): Slot => {
    const slot = models.take(id);
    if (typeof slot === 'string') throw new Error(`refused: ${slot}`);
    return slot;
  };
  const show = (id: string): LoadedModel => {
    const shown = models.report().find((entry) => entry.id === id);
    if (!shown) throw new Error(`${id} is not reported`);
    return shown;
  };
  return { engine, models, take, show, changes: () => changes };
};

describe('a slot', () => {
  it('is counted until it is given back, and given back only once', () => {
    const { models, take, show } = setUp({ listed: [model('m', { slots: 3 })] });
    const [first] = [take('m'), take('m')];
    expect(show('m').inFlight).toBe(2);
    expect(models.inFlight).toBe(2);
    first?.release();
    first?.release();
    expect(show('m').inFlight).toBe(1);
  });

  it('belongs to the model by the name its runtime uses', () => {
    const { engine, take } = setUp({ listed: [model('llama3:latest')] });
    expect(take('llama3')).toMatchObject({ modelId: 'llama3:latest', runtime: engine });
  });

  it.each<
    [string, { maxConcurrent?: number; listed: RuntimeModel[]; taken: string[]; ask: string; answer: SlotRefusal | 'slot' }]
  >([
    ['no such model', { listed: [model('m')], taken: [], ask: 'x', answer: 'model_not_found' }],
    ['a free model', { listed: [model('m')], taken: [], ask: 'm', answer: 'slot' }],
    ['a full model', { listed: [model('m')], taken: ['m'], ask: 'm', answer: 'node_busy' }],
    ['a model with a slot left', { listed: [model('m', { slots: 2 })], taken: ['m'], ask: 'm', answer: 'slot' }],
    ['a model without slots', { listed: [model('m', { slots: 0 })], taken: [], ask: 'm', answer: 'node_busy' }],
    ['another model beside a full one', { listed: [model('m'), model('n')], taken: ['m'], ask: 'n', answer: 'slot' }],
    [
      'a full machine',
      { maxConcurrent: 2, listed: [model('m'), model('n'), model('o')], taken: ['m', 'n'], ask: 'o', answer: 'node_busy' },
    ],
  ])('of %s is decided here', (_, { taken, ask, answer, ...rest }) => {
    const { models, take } = setUp(rest);
    for (const id of taken) take(id);
    const slot = models.take(ask);
    expect(typeof slot === 'string' ? slot : 'slot').toBe(answer);
  });

  it('is free for the next one after it was given back', () => {
    const { models, take } = setUp({ maxConcurrent: 1 });
    take('m').release();
    expect(models.take('m')).toMatchObject({ modelId: 'm' });
  });

  it('keeps the model known while the runtime no longer lists it', () => {
    const { engine, models, take, show } = setUp();
    const slot = take('m');
    models.observe(engine, []);
    expect(show('m').inFlight).toBe(1);
    slot.release();
    models.observe(engine, []);
    expect(models.report()).toEqual([]);
  });
});

describe('loading a model', () => {
  it('is asked for once, however many want it', async () => {
    const { engine, models, show } = setUp({ listed: [model('m:latest')] });
    const loads = [models.load('m:latest'), models.load('m'), models.load('m:latest')];
    expect(show('m:latest').state).toBe('loading');
    expect(engine.calls).toEqual(['load m:latest']);
    engine.finish();
    await Promise.all(loads);
    expect(show('m:latest').state).toBe('warm');
  });

  it('is not asked for when the model is warm', async () => {
    const { engine, models } = setUp({ listed: [model('m', { isLoaded: true })] });
    await models.load('m');
    expect(engine.calls).toEqual([]);
  });

  it('fails for everybody who waits, says why in the report, and can be tried again', async () => {
    const { engine, models, show } = setUp();
    const loads = Promise.allSettled([models.load('m'), models.load('m')]);
    engine.finish(new RuntimeError('out_of_memory', 'heap at 0x7f is full'));
    const outcomes = await loads;
    for (const outcome of outcomes) expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'out_of_memory' } });
    expect(show('m')).toMatchObject({ state: 'failed', failure: { code: 'out_of_memory' } });
    expect(show('m').failure?.message).not.toContain('0x7f');

    const again = models.load('m');
    expect(show('m')).toMatchObject({ state: 'loading', failure: null });
    engine.finish();
    await again;
    expect(engine.calls).toEqual(['load m', 'load m']);
  });

  it('calls a failure nobody foresaw a failed load', async () => {
    const { engine, models, show } = setUp();
    const load = models.load('m');
    engine.finish(new Error('boom'));
    await expect(load).rejects.toThrow('boom');
    expect(show('m').failure?.code).toBe('load_failed');
  });

  it('is refused for a model that no runtime has', async () => {
    const { models } = setUp();
    await expect(models.load('x')).rejects.toMatchObject({ code: 'model_not_found' });
  });

  it('is not disturbed by a list that does not know it yet', async () => {
    const { engine, models, show } = setUp();
    const load = models.load('m');
    models.observe(engine, [model('m')]);
    models.lose(engine);
    expect(show('m').state).toBe('loading');
    engine.finish();
    await load;
    expect(show('m').state).toBe('warm');
  });
});

describe('unloading a model', () => {
  it('takes no new work, lets what runs finish, and ends cold', async () => {
    const { engine, models, take, show } = setUp({ listed: [model('m', { isLoaded: true, slots: 2 })] });
    const running = take('m');
    const unload = models.unload('m');
    expect(show('m').state).toBe('draining');
    expect(models.take('m')).toBe('node_busy');
    models.worked('m');
    running.release();
    expect(show('m').state).toBe('unloading');
    expect(models.take('m')).toBe('node_busy');
    engine.finish();
    await unload;
    expect(show('m').state).toBe('cold');
    expect(models.take('m')).toMatchObject({ modelId: 'm' });
  });

  it('that failed leaves a model that works again as soon as the runtime lists it', async () => {
    const { engine, models, show } = setUp({ listed: [model('m', { isLoaded: true })] });
    const unload = models.unload('m');
    engine.finish(new RuntimeError('engine_error', 'no'));
    await expect(unload).rejects.toMatchObject({ code: 'engine_error' });
    models.observe(engine, [model('m', { isLoaded: true })]);
    expect(show('m').state).toBe('warm');
    expect(models.take('m')).toMatchObject({ modelId: 'm' });
  });

  it('is refused for a model that no runtime has', async () => {
    await expect(setUp().models.unload('x')).rejects.toMatchObject({ code: 'model_not_found' });
  });
});

describe('what the runtime says', () => {
  it('is not believed of a crashed model until something has worked', () => {
    const { engine, models, show } = setUp({ listed: [model('m', { isLoaded: true })] });
    models.crashed('m', crash);
    models.observe(engine, [model('m', { isLoaded: true })]);
    expect(show('m')).toMatchObject({ state: 'failed', failure: crash });
    models.worked('m');
    expect(show('m')).toMatchObject({ state: 'warm', failure: null });
    models.observe(engine, [model('m')]);
    models.observe(engine, [model('m', { isLoaded: true })]);
    expect(show('m').state).toBe('warm');
  });

  it('counts for nothing once the runtime is lost, and is asked anew when it is back', () => {
    const { engine, models, show } = setUp({ listed: [model('m', { isLoaded: true }), model('n')] });
    models.lose(engine);
    expect(models.report().map(({ state }) => state)).toEqual(['cold', 'cold']);
    models.observe(engine, [model('m', { isLoaded: true }), model('n')]);
    expect(show('m').state).toBe('warm');
  });

  it('changes nothing about the models of another runtime', () => {
    const { models, show } = setUp({ listed: [model('m', { isLoaded: true })] });
    const other = new Engine();
    models.observe(other, [model('m', { slots: 9 }), model('n')]);
    expect(show('m')).toMatchObject({ slots: 1, state: 'warm' });
    models.lose(other);
    expect(show('m').state).toBe('warm');
    models.observe(other, []);
    expect(models.report().map(({ id }) => id)).toEqual(['m']);
  });

  it('replaces what it said before', () => {
    const { engine, models, show } = setUp();
    models.observe(engine, [model('m', { slots: 4, vramBytes: 7, contextBytes: 5, isLoaded: true, expiresAtMs: 99 })]);
    expect(show('m')).toEqual({
      id: 'm',
      runtime: 'mock',
      state: 'warm',
      capabilities: ['chat'],
      contextLength: 4096,
      sizeBytes: 1e9,
      contextBytes: 5,
      vramBytes: 7,
      slots: 4,
      inFlight: 0,
      isPinned: false,
      expiresAtMs: 99,
      failure: null,
    });
  });
});

describe('news', () => {
  it('is told when something changed, and only then', async () => {
    const { engine, models, changes } = setUp();
    const seen = () => changes();
    expect(seen()).toBe(1);
    models.observe(engine, [model('m')]);
    expect(seen()).toBe(1);
    models.observe(engine, [model('m', { isLoading: true })]);
    expect(seen()).toBe(2);
    models.worked('m');
    models.worked('m');
    expect(seen()).toBe(3);
    models.crashed('unknown', crash);
    expect(seen()).toBe(3);
    models.lose(engine);
    models.lose(engine);
    expect(seen()).toBe(4);
    const load = models.load('m');
    engine.finish();
    await load;
    expect(seen()).toBe(6);
  });
});

describe('a load of somebody else', () => {
  it.each<[string, Partial<RuntimeModel>, LoadedModel['state']]>([
    ['is over when the model is seen in memory', { isLoaded: true }, 'warm'],
    ['is over when the model is seen out of memory', {}, 'cold'],
    ['goes on as long as it is seen', { isLoading: true }, 'loading'],
  ])('%s', (_, seen, state) => {
    const { engine, models, show } = setUp();
    models.observe(engine, [model('m', { isLoading: true })]);
    expect(show('m').state).toBe('loading');
    models.observe(engine, [model('m', seen)]);
    expect(show('m').state).toBe(state);
  });

  it('becomes ours when we want the model, and then ends as ours', async () => {
    const { engine, models, show } = setUp();
    models.observe(engine, [model('m', { isLoading: true })]);
    const load = models.load('m');
    models.observe(engine, [model('m')]);
    expect(show('m').state).toBe('loading');
    engine.finish();
    await load;
    expect(show('m').state).toBe('warm');
  });
});
