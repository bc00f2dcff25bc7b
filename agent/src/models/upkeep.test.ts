import { pino } from 'pino';
import { describe, expect, it, vi } from 'vitest';
import { RuntimeError } from '../runtimes/runtime.ts';
import { Models, type Slot } from './models.ts';
import { model, ScriptedRuntime } from './scripted-runtime.ts';

const MINUTE_MS = 60_000;

const setUp = (options: ConstructorParameters<typeof ScriptedRuntime>[0] = {}, listed = [model('m', { isLoaded: true })]) => {
  const runtime = new ScriptedRuntime(options);
  let nowMs = 0;
  const interrupted: string[] = [];
  const models = new Models({
    maxConcurrent: 16,
    idleUnloadMs: 10 * MINUTE_MS,
    onChange: () => {},
    interrupt: (id) => interrupted.push(id),
    now: () => nowMs,
    log: pino({ level: 'silent' }),
  });
  runtime.listed = listed;
  models.observe(runtime, listed);
  const take = (id: string): Slot => {
    const slot = models.take(id);
    if (typeof slot === 'string') throw new Error(`refused: ${slot}`);
    return slot;
  };
  const wait = (ms: number) => {
    nowMs += ms;
    models.tick({ mayLoad: true });
  };
  const stateOf = (id: string) => models.report().find((entry) => entry.id === id)?.state;
  return { runtime, models, take, wait, stateOf, interrupted };
};

describe('an idle model', () => {
  it('is unloaded ten minutes after its last answer', () => {
    const { runtime, take, wait } = setUp();
    wait(9 * MINUTE_MS);
    take('m').release();
    wait(9 * MINUTE_MS);
    expect(runtime.calls).toEqual([]);
    wait(MINUTE_MS);
    expect(runtime.calls).toEqual(['unload m']);
  });

  it('is unloaded once', () => {
    const { runtime, wait } = setUp();
    wait(10 * MINUTE_MS);
    wait(MINUTE_MS);
    expect(runtime.calls).toEqual(['unload m']);
  });

  it('is never unloaded while it answers', () => {
    const { runtime, take, wait } = setUp();
    take('m');
    wait(600 * MINUTE_MS);
    expect(runtime.calls).toEqual([]);
  });

  it('stays when it is pinned', () => {
    const { runtime, models, wait } = setUp();
    models.pin(['m']);
    wait(600 * MINUTE_MS);
    expect(runtime.calls).toEqual(['pin m']);
  });

  it('stays when somebody else uses it: the engine’s own timer tells', () => {
    const { runtime, models, wait } = setUp();
    wait(9 * MINUTE_MS);
    models.observe(runtime, [model('m', { isLoaded: true, expiresAtMs: 99 })]);
    wait(9 * MINUTE_MS);
    expect(runtime.calls).toEqual([]);
  });

  it('of somebody else’s engine is left alone until an answer of it was ours', () => {
    const { runtime, models, wait } = setUp({ mode: 'adopted' });
    wait(20 * MINUTE_MS);
    expect(runtime.calls).toEqual([]);
    models.worked('m');
    wait(20 * MINUTE_MS);
    expect(runtime.calls).toEqual(['served m', 'unload m']);
  });

  it('stays where its engine cannot unload', () => {
    const { runtime, wait } = setUp({ abilities: { unload: 'no' } });
    wait(20 * MINUTE_MS);
    expect(runtime.calls).toEqual([]);
  });
});

describe('a pinned model', () => {
  it('is loaded when it is not in memory, and its engine is told to keep it', async () => {
    const { runtime, models, wait } = setUp({}, [model('m:latest')]);
    models.pin(['m']);
    expect(models.report()[0]?.isPinned).toBe(true);
    wait(0);
    wait(0);
    expect(runtime.calls).toEqual(['load m:latest']);
    runtime.finish();
    await vi.waitFor(() => expect(runtime.calls).toEqual(['load m:latest', 'pin m:latest']));
  });

  it('waits while the node may not load', () => {
    const { runtime, models } = setUp({}, [model('m')]);
    models.pin(['m']);
    models.tick({ mayLoad: false });
    expect(runtime.calls).toEqual([]);
  });

  it('that cannot be loaded is not tried again and again', async () => {
    const { runtime, models, wait, stateOf } = setUp({}, [model('m')]);
    models.pin(['m']);
    wait(0);
    runtime.finish(new RuntimeError('out_of_memory', 'no room'));
    await vi.waitFor(() => expect(stateOf('m')).toBe('failed'));
    wait(MINUTE_MS);
    expect(runtime.calls).toEqual(['load m']);
  });

  it('is an ordinary one when it is no longer wanted', () => {
    const { runtime, models, wait } = setUp();
    models.pin(['m']);
    models.pin([]);
    wait(10 * MINUTE_MS);
    expect(runtime.calls).toEqual(['pin m', 'unpin m', 'unload m']);
  });
});

describe('an unload', () => {
  it('lets what runs finish, and goes on as soon as it has', async () => {
    const { runtime, models, take, interrupted } = setUp();
    const running = take('m');
    const unload = models.unload('m', { graceMs: MINUTE_MS });
    expect(runtime.calls).toEqual([]);
    running.release();
    await vi.waitFor(() => expect(runtime.calls).toEqual(['unload m']));
    runtime.finish();
    await unload;
    expect(interrupted).toEqual([]);
  });

  it('interrupts what does not finish in time', async () => {
    const { runtime, models, take, interrupted } = setUp();
    take('m');
    const unload = models.unload('m', { graceMs: 5 });
    await vi.waitFor(() => expect(runtime.calls).toEqual(['unload m']));
    runtime.finish();
    await unload;
    expect(interrupted).toEqual(['m']);
  });

  it('is hurried by one that has less time', async () => {
    const { runtime, models, take, interrupted } = setUp();
    take('m');
    const patient = models.unload('m', { graceMs: MINUTE_MS });
    const hasty = models.unload('m');
    await vi.waitFor(() => expect(runtime.calls).toEqual(['unload m']));
    runtime.finish();
    await Promise.all([patient, hasty]);
    expect(interrupted).toEqual(['m']);
  });

  it('cancels a load that is on its way', async () => {
    const { runtime, models, stateOf } = setUp({}, [model('m')]);
    const load = models.load('m');
    const unload = models.unload('m');
    await expect(load).rejects.toMatchObject({ code: 'canceled' });
    await vi.waitFor(() => expect(runtime.calls).toEqual(['load m', 'unload m']));
    expect(stateOf('m')).toBe('unloading');
    runtime.finish();
    await unload;
    expect(stateOf('m')).toBe('cold');
  });

  it('comes before a load that was asked for after it', async () => {
    const { runtime, models, stateOf } = setUp();
    const unload = models.unload('m');
    const load = models.load('m');
    expect(runtime.calls).toEqual(['unload m']);
    runtime.finish();
    await unload;
    await vi.waitFor(() => expect(runtime.calls).toEqual(['unload m', 'load m']));
    runtime.finish();
    await load;
    expect(stateOf('m')).toBe('warm');
  });
});

describe('a hot swap', () => {
  const both = () => setUp({}, [model('old', { isLoaded: true }), model('new')]);

  it('unloads one model, then loads the other', async () => {
    const { runtime, models, stateOf } = both();
    const swap = models.swap({ out: 'old', in: 'new', graceMs: 0 });
    runtime.finish();
    await vi.waitFor(() => expect(runtime.calls).toEqual(['unload old', 'load new']));
    runtime.finish();
    await swap;
    expect([stateOf('old'), stateOf('new')]).toEqual(['cold', 'warm']);
  });

  it('brings the old one back when the new one cannot be loaded', async () => {
    const { runtime, models, stateOf } = both();
    const swap = models.swap({ out: 'old', in: 'new', graceMs: 0 });
    runtime.finish();
    await vi.waitFor(() => expect(runtime.calls).toHaveLength(2));
    runtime.finish(new RuntimeError('out_of_memory', 'no room'));
    await vi.waitFor(() => expect(runtime.calls).toEqual(['unload old', 'load new', 'load old']));
    runtime.finish();
    await expect(swap).rejects.toMatchObject({ code: 'out_of_memory' });
    expect([stateOf('old'), stateOf('new')]).toEqual(['warm', 'failed']);
  });

  it('touches nothing when the new one is not there', async () => {
    const { runtime, models } = both();
    await expect(models.swap({ out: 'old', in: 'none', graceMs: 0 })).rejects.toMatchObject({ code: 'model_not_found' });
    expect(runtime.calls).toEqual([]);
  });
});

describe('deleting a model', () => {
  it('unloads it first and forgets it', async () => {
    const { runtime, models } = setUp();
    const deletion = models.delete('m', { graceMs: 0 });
    runtime.finish();
    await deletion;
    expect(runtime.calls).toEqual(['unload m', 'delete m']);
    expect(models.report()).toEqual([]);
  });

  it('is refused where files are not the engine’s to delete', async () => {
    const { runtime, models } = setUp({ abilities: { delete: false } });
    await expect(models.delete('m', { graceMs: 0 })).rejects.toMatchObject({ code: 'request_refused' });
    expect(runtime.calls).toEqual([]);
  });
});

describe('a load', () => {
  it('that is canceled leaves a cold model, and can be begun anew', async () => {
    const { runtime, models, stateOf } = setUp({}, [model('m')]);
    const load = models.load('m');
    models.cancelLoad('m');
    await expect(load).rejects.toMatchObject({ code: 'canceled' });
    expect(stateOf('m')).toBe('cold');
    const again = models.load('m');
    runtime.finish();
    await again;
    expect(stateOf('m')).toBe('warm');
  });
});
