import type { ModelFailure, ModelState } from '@lai/shared/node';
import { describe, expect, it } from 'vitest';
import { type ModelEvent, type ModelStatus, nextModelStatus, unknownModel } from './model-states.ts';

type Event =
  | Exclude<ModelEvent['kind'], 'unload' | 'observed'>
  | 'unload while idle'
  | 'unload while busy'
  | 'seen loaded'
  | 'seen loading'
  | 'seen unloaded';

const old: ModelFailure = { code: 'load_failed', message: 'yesterday', atMs: 1 };
const fresh: ModelFailure = { code: 'engine_crashed', message: 'just now', atMs: 2 };

const events: Record<Event, ModelEvent> = {
  load: { kind: 'load' },
  loaded: { kind: 'loaded' },
  loadFailed: { kind: 'loadFailed', failure: fresh },
  'unload while idle': { kind: 'unload', isBusy: false },
  'unload while busy': { kind: 'unload', isBusy: true },
  idle: { kind: 'idle' },
  gone: { kind: 'gone' },
  crashed: { kind: 'crashed', failure: fresh },
  'seen loaded': { kind: 'observed', runtimeSays: 'loaded' },
  'seen loading': { kind: 'observed', runtimeSays: 'loading' },
  'seen unloaded': { kind: 'observed', runtimeSays: 'unloaded' },
};

/** `loading` twice: the end of a load of ours tells how it went. `failed` twice: after a failed load the runtime is believed, after a crash it is not. */
type Status = Exclude<ModelState, 'failed'> | 'loading for others' | 'failed to load' | 'crashed';

const at = (state: ModelState): ModelStatus => ({ state, failure: null, isDistrusted: false });
const loadingForOthers: ModelStatus = { ...at('loading'), isLoadOfOthers: true };
const statuses: Record<Status, ModelStatus> = {
  cold: at('cold'),
  loading: at('loading'),
  'loading for others': loadingForOthers,
  warm: at('warm'),
  draining: at('draining'),
  unloading: at('unloading'),
  'failed to load': { state: 'failed', failure: old, isDistrusted: false },
  crashed: { state: 'failed', failure: old, isDistrusted: true },
};

const stay = 'stay';
const failedLoad: ModelStatus = { state: 'failed', failure: fresh, isDistrusted: false };
const crash: ModelStatus = { state: 'failed', failure: fresh, isDistrusted: true };
const loadingDistrusted: ModelStatus = { state: 'loading', failure: null, isDistrusted: true };

const table: Record<Status, Record<Event, ModelStatus | typeof stay>> = {
  cold: {
    load: at('loading'),
    loaded: at('warm'),
    loadFailed: failedLoad,
    'unload while idle': at('unloading'),
    'unload while busy': at('draining'),
    idle: stay,
    gone: stay,
    crashed: crash,
    'seen loaded': at('warm'),
    'seen loading': loadingForOthers,
    'seen unloaded': stay,
  },
  loading: {
    load: stay,
    loaded: at('warm'),
    loadFailed: failedLoad,
    'unload while idle': at('unloading'),
    'unload while busy': at('draining'),
    idle: stay,
    gone: at('cold'),
    crashed: crash,
    // Ollama's list is silent during a load, and shows the model before the load has answered.
    'seen loaded': stay,
    'seen loading': stay,
    'seen unloaded': stay,
  },
  'loading for others': {
    load: at('loading'),
    loaded: at('warm'),
    loadFailed: failedLoad,
    'unload while idle': at('unloading'),
    'unload while busy': at('draining'),
    idle: stay,
    gone: at('cold'),
    crashed: crash,
    'seen loaded': at('warm'),
    'seen loading': stay,
    // Their load failed, or was ended.
    'seen unloaded': at('cold'),
  },
  warm: {
    load: stay,
    loaded: stay,
    loadFailed: failedLoad,
    'unload while idle': at('unloading'),
    'unload while busy': at('draining'),
    idle: stay,
    gone: at('cold'),
    crashed: crash,
    'seen loaded': stay,
    'seen loading': stay,
    // The runtime's own idle timer.
    'seen unloaded': at('cold'),
  },
  draining: {
    load: at('loading'),
    // The last attempt worked; that is no reason to stay.
    loaded: stay,
    loadFailed: failedLoad,
    'unload while idle': at('unloading'),
    'unload while busy': stay,
    idle: at('unloading'),
    gone: at('cold'),
    // We take it down ourselves.
    crashed: stay,
    'seen loaded': stay,
    'seen loading': stay,
    'seen unloaded': stay,
  },
  unloading: {
    load: at('loading'),
    loaded: stay,
    loadFailed: failedLoad,
    'unload while idle': stay,
    'unload while busy': at('draining'),
    idle: stay,
    gone: at('cold'),
    // We take it down ourselves.
    crashed: stay,
    'seen loaded': stay,
    'seen loading': stay,
    'seen unloaded': stay,
  },
  'failed to load': {
    load: at('loading'),
    loaded: at('warm'),
    loadFailed: failedLoad,
    'unload while idle': at('unloading'),
    'unload while busy': at('draining'),
    idle: stay,
    gone: stay,
    crashed: crash,
    'seen loaded': at('warm'),
    'seen loading': stay,
    'seen unloaded': stay,
  },
  crashed: {
    load: loadingDistrusted,
    loaded: at('warm'),
    loadFailed: failedLoad,
    'unload while idle': at('unloading'),
    'unload while busy': at('draining'),
    idle: stay,
    gone: stay,
    crashed: crash,
    // Ollama lists a crashed runner as loaded until somebody asks it for something.
    'seen loaded': stay,
    'seen loading': stay,
    'seen unloaded': stay,
  },
};

describe.each(Object.keys(table) as Status[])('a model that is %s', (status) => {
  it.each(Object.entries(table[status]) as [Event, ModelStatus | typeof stay][])('and then: %s', (event, expected) => {
    const before = statuses[status];
    expect(nextModelStatus(before, events[event])).toEqual(expected === stay ? before : expected);
  });
});

describe('a model', () => {
  const run = (...names: Event[]): ModelStatus =>
    names.reduce((status, name) => nextModelStatus(status, events[name]), unknownModel);

  it('is cold until somebody says otherwise', () => {
    expect(unknownModel).toEqual(at('cold'));
  });

  it('is not believed after a crash until it has worked again, whatever the runtime says meanwhile', () => {
    expect(run('seen loaded', 'crashed', 'seen loaded', 'seen loaded')).toEqual(crash);
    expect(run('seen loaded', 'crashed', 'load', 'seen loaded')).toEqual(loadingDistrusted);
    expect(run('seen loaded', 'crashed', 'load', 'loaded', 'seen unloaded', 'seen loaded')).toEqual(at('warm'));
  });

  it('drains, unloads and is cold again', () => {
    expect(run('load', 'loaded', 'unload while busy', 'seen loaded', 'idle', 'seen loaded', 'gone')).toEqual(at('cold'));
  });

  it('loses its failure with the next try', () => {
    expect(run('load', 'loadFailed')).toMatchObject({ state: 'failed', failure: fresh });
    expect(run('load', 'loadFailed', 'load').failure).toBeNull();
  });
});
