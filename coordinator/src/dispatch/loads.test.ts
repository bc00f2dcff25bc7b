import type { Gpu, LoadedModel } from '@lai/shared/node';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import type { LoadOutcome } from '../nodes/node-session.ts';
import { GIB, gpu, model, NOW_MS, node } from '../scheduler/__fixtures__/fleet.ts';
import type { Candidate } from '../scheduler/place.ts';
import type { Clock } from './clock.ts';
import { Figures } from './figures.ts';
import { Loads } from './loads.ts';

/** Time that passes when it is told to. */
const handClock = (): Clock & { pass(ms: number): void } => {
  let nowMs = NOW_MS;
  const timers = new Set<{ atMs: number; call: () => void }>();
  return {
    nowMs: () => nowMs,
    wallMs: () => nowMs,
    after: (ms, call) => {
      const timer = { atMs: nowMs + ms, call };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    pass: (ms) => {
      nowMs += ms;
      for (const timer of [...timers].filter(({ atMs }) => atMs <= nowMs)) {
        timers.delete(timer);
        timer.call();
      }
    },
  };
};

const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
};

/** Two nodes that have the model on disk; what they answer to a load is the test's to say. */
const setUp = () => {
  const clock = handClock();
  const states = new Map<string, LoadedModel['state']>();
  const listeners = new Set<(nodeId?: string) => void>();
  const released: string[] = [];
  const asked: { nodeId: string; end(outcome: LoadOutcome): void }[] = [];
  let gpus = [gpu()];
  let others: LoadedModel[] = [];
  const snapshot = (nodeId: string) =>
    node(nodeId, [model('m', { state: states.get(nodeId) ?? 'cold' }), ...others], {
      snapshot: { gpus, takenAtMs: clock.nowMs() },
    }).snapshot;
  const figures = new Figures();
  const loads = new Loads({
    nodes: {
      list: () => [],
      snapshot: (nodeId) => snapshot(nodeId),
      link: (nodeId) => ({
        epoch: 1,
        instanceId: 'i',
        startAttempt: () => {
          throw new Error('not asked for');
        },
        loadModel: () => new Promise<LoadOutcome>((end) => void asked.push({ nodeId, end })),
      }),
      onChange: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      onReturn: () => () => {},
    },
    claims: { claim: async () => true, release: async (model) => void released.push(model) },
    figures,
    clock,
    onDone: () => {},
    log: pino({ level: 'silent' }),
  });
  const request = async (nodeId: string, model = 'm') => {
    loads.request({ nodeId, nodeName: nodeId, model } as Candidate);
    await settled();
  };
  const shows = async (nodeId: string, state: LoadedModel['state']) => {
    states.set(nodeId, state);
    for (const listener of listeners) listener(nodeId);
    await settled();
  };
  const has = (seen: { gpus?: Gpu[]; others?: LoadedModel[] }) => {
    gpus = seen.gpus ?? gpus;
    others = seen.others ?? others;
  };
  return { clock, loads, figures, asked, released, request, shows, has };
};

const free = (gib: number) => [gpu({ vramFreeBytes: gib * GIB })];

describe('a cold load', () => {
  it('is under way until the snapshot shows the model, whatever the node has said', async () => {
    const { loads, asked, request, shows } = setUp();
    await request('a');
    asked[0]?.end({ ok: true });
    await settled();
    expect([...loads.on('a').keys()]).toEqual(['m']);
    await shows('a', 'warm');
    expect([...loads.on('a').keys()]).toEqual([]);
  });

  it('does not wait for a snapshot that never comes', async () => {
    const { clock, loads, asked, request } = setUp();
    await request('a');
    asked[0]?.end({ ok: true });
    await settled();
    clock.pass(2_000);
    await settled();
    expect([...loads.on('a').keys()]).toEqual([]);
  });

  it('is not repeated elsewhere before those who waited for it had a moment to be served', async () => {
    const { clock, asked, request, shows } = setUp();
    await request('a');
    await request('b');
    asked[0]?.end({ ok: true });
    await shows('a', 'warm');
    await request('b');
    expect(asked.map(({ nodeId }) => nodeId)).toEqual(['a']);
    clock.pass(3_000);
    await request('b');
    expect(asked.map(({ nodeId }) => nodeId)).toEqual(['a', 'b']);
  });

  it('that takes more than a minute keeps nobody else from trying, and its claim is given back when both are over', async () => {
    const { clock, asked, released, request, shows } = setUp();
    await request('a');
    clock.pass(59_000);
    await request('b');
    expect(asked.map(({ nodeId }) => nodeId)).toEqual(['a']);
    clock.pass(1_000);
    await request('a');
    await request('b');
    expect(asked.map(({ nodeId }) => nodeId)).toEqual(['a', 'b']);
    asked[0]?.end({ ok: false, code: 'load_failed' } as LoadOutcome);
    await settled();
    expect(released).toEqual([]);
    asked[1]?.end({ ok: true });
    await shows('b', 'warm');
    clock.pass(3_000);
    await settled();
    expect(released).toEqual(['m']);
  });

  it.each<[string, boolean]>([
    ['is under way', false],
    ['has just ended', true],
  ])('that %s when we stop bars nobody who starts after us', async (_, hasEnded) => {
    const { loads, asked, released, request, shows } = setUp();
    await request('node_a');
    if (hasEnded) {
      asked[0]?.end({ ok: true });
      await shows('node_a', 'warm');
    }
    expect(released).toEqual([]);
    loads.close();
    expect(released).toEqual(['m']);
  });

  it('that ran out of memory says for half an hour how much room is too little', async () => {
    const { clock, loads, asked, request } = setUp();
    expect(loads.shortageBytes({ id: 'm', contextLength: 4_096 })).toBeNull();
    await request('a');
    asked[0]?.end({ ok: false, code: 'out_of_memory' } as LoadOutcome);
    await settled();
    expect(loads.shortageBytes({ id: 'm:latest', contextLength: 8_192 })).toBe(8 * GIB);
    expect(loads.shortageBytes({ id: 'm', contextLength: 2_048 })).toBeNull();
    expect(loads.barsOn('a').size).toBe(0);
    clock.pass(30 * 60_000);
    expect(loads.shortageBytes({ id: 'm', contextLength: 4_096 })).toBeNull();
  });

  it('that ran out of memory right after another had all that the other may still be shown to hold', async () => {
    const { clock, loads, asked, request, has } = setUp();
    const runsOut = async (model: string) => {
      await request('a', model);
      asked.at(-1)?.end({ ok: false, code: 'out_of_memory' } as LoadOutcome);
      await settled();
    };
    const roomFor = (id: string) => (loads.shortageBytes({ id, contextLength: 4_096 }) ?? 0) / GIB;
    has({ others: [model('n'), model('o')].map((other) => ({ ...other, state: 'cold' })) });
    await runsOut('m');
    has({
      gpus: free(5),
      others: [model('m', { state: 'loading' }), model('n', { state: 'cold' }), model('o', { state: 'cold' })],
    });
    await runsOut('n');
    has({ others: [model('n', { state: 'cold' }), model('o', { state: 'cold' })] });
    expect(roomFor('n')).toBeGreaterThan(7);
    clock.pass(3_500);
    await runsOut('o');
    expect(roomFor('o')).toBe(5);
  });

  it('begins when the node has ended the one before, or that one takes more than a minute', async () => {
    const { clock, asked, request } = setUp();
    await request('a', 'm');
    await request('a', 'n');
    await request('b', 'o');
    expect(asked.map(({ nodeId }) => nodeId)).toEqual(['a', 'b']);
    asked[0]?.end({ ok: false, code: 'load_failed' } as LoadOutcome);
    await settled();
    await request('a', 'n');
    expect(asked.map(({ nodeId }) => nodeId)).toEqual(['a', 'b', 'a']);
    clock.pass(60_000);
    await request('a', 'p');
    expect(asked.map(({ nodeId }) => nodeId)).toEqual(['a', 'b', 'a', 'a']);
  });

  const cold = model('n', { state: 'cold' });
  it.each<[string, LoadedModel, LoadedModel, LoadedModel]>([
    ['was having another model loaded there', model('n', { state: 'loading' }), model('n'), model('n')],
    ['had another one loaded there, which we have seen neither begin nor be on its way', cold, cold, model('n')],
    ['had tried to load another one there meanwhile', cold, model('n', { state: 'loading' }), cold],
  ])('that ran out of memory while another replica %s is tried again soon', async (_, before, between, after) => {
    const { clock, loads, asked, request, has, shows } = setUp();
    has({ others: [before] });
    await request('a');
    has({ others: [between] });
    await shows('a', 'loading');
    has({ others: [after] });
    await shows('a', 'cold');
    asked[0]?.end({ ok: false, code: 'out_of_memory' } as LoadOutcome);
    await settled();
    expect(loads.shortageBytes({ id: 'm', contextLength: 4_096 })).toBeNull();
    expect(loads.barsOn('a').get('m')?.untilMs).toBe(clock.nowMs() + 3_500);
  });

  it('that ran out of memory just after another model came proves nothing: what was free then is not known', async () => {
    const { clock, loads, asked, request, has } = setUp();
    const runsOut = async () => {
      await request('a');
      asked.at(-1)?.end({ ok: false, code: 'out_of_memory' } as LoadOutcome);
      await settled();
    };
    const shortageBytes = () => loads.shortageBytes({ id: 'm', contextLength: 4_096 });
    expect(loads.isSettled('a')).toBe(true);
    has({ others: [model('n')] });
    await runsOut();
    expect(shortageBytes()).toBeNull();
    // Until the node has told of its memory anew; nobody is told that it cannot be.
    const resting = () => ({ untilMs: clock.nowMs() + 3_500, isTelling: false });
    expect(loads.barsOn('a').get('m')).toMatchObject(resting());
    clock.pass(2_000);
    await runsOut();
    expect(shortageBytes()).toBeNull();
    expect(loads.barsOn('a').get('m')).toMatchObject(resting());
    clock.pass(3_500);
    has({ gpus: free(5) });
    await runsOut();
    expect(shortageBytes()).toBe(7 * GIB);
  });

  it('is not judged by readings that may be older than the models beside them', async () => {
    const { clock, loads, shows, has } = setUp();
    const isSettled = async (others: LoadedModel[]) => {
      has({ others });
      await shows('a', 'cold');
      return loads.isSettled('a');
    };
    expect(await isSettled([model('n')])).toBe(true);
    // What is on its way, or did not get there, is counted as such.
    expect(await isSettled([model('n'), model('o', { state: 'loading' })])).toBe(true);
    expect(await isSettled([model('n'), model('o', { state: 'failed' })])).toBe(true);
    expect(await isSettled([model('o'), model('n')])).toBe(false);
    clock.pass(3_400);
    expect(await isSettled([model('n'), model('o')])).toBe(false);
    clock.pass(100);
    expect(await isSettled([model('n'), model('o')])).toBe(true);
    expect(await isSettled([model('n'), model('o', { state: 'unloading' })])).toBe(true);
    expect(await isSettled([model('n'), model('o', { state: 'cold' })])).toBe(false);
    clock.pass(3_500);
    // Too little to matter.
    expect(await isSettled([model('n'), model('p', { sizeBytes: 0.5 * GIB })])).toBe(true);
    expect(await isSettled([model('n')])).toBe(true);
    expect(loads.isSettled('b')).toBe(true);
  });

  it('that the engine had no place for is asked for again soon, and so is one that failed, once', async () => {
    const { clock, loads, asked, request } = setUp();
    const barredForMs = () => (loads.barsOn('a').get('m')?.untilMs ?? 0) - clock.nowMs();
    await request('a');
    asked[0]?.end({ ok: false, code: 'engine_overloaded' } as LoadOutcome);
    await settled();
    expect(barredForMs()).toBe(2_000);
    clock.pass(2_000);
    await request('a');
    asked[1]?.end({ ok: false, code: 'load_failed' } as LoadOutcome);
    await settled();
    expect(barredForMs()).toBe(2_000);
    expect(loads.barsOn('a').get('m')?.isTelling).toBe(false);
    clock.pass(2_000);
    await request('a');
    asked[2]?.end({ ok: false, code: 'load_failed' } as LoadOutcome);
    await settled();
    expect(barredForMs()).toBe(30_000);
    expect(loads.barsOn('a').get('m')?.isTelling).toBe(true);
  });
});

describe('what a load takes', () => {
  /** One load of `m` (2 GiB on disk), and what the node looks like before and after it. */
  const load = async (
    parts: ReturnType<typeof setUp>,
    before: { gpus: Gpu[] },
    after: { gpus: Gpu[]; others?: LoadedModel[]; isGone?: boolean },
  ) => {
    const { clock, asked, request, shows, has } = parts;
    await shows('a', 'cold');
    has({ others: [], ...before });
    await request('a');
    asked.at(-1)?.end({ ok: true });
    has(after);
    await shows('a', 'warm');
    if (after.isGone) await shows('a', 'cold');
    clock.pass(3_500);
    await settled();
    return parts.figures.of('a', 'm').needBytes;
  };

  it('is learned from what is free before and after it', async () => {
    expect(await load(setUp(), { gpus: free(8) }, { gpus: free(5.5) })).toBe(2.5 * GIB);
  });

  it.each<[string, { gpus: Gpu[] }, { gpus: Gpu[]; others?: LoadedModel[]; isGone?: boolean }]>([
    ['the GPU was found only meanwhile, and main memory was told before', { gpus: [] }, { gpus: free(5.5) }],
    ['a GPU went', { gpus: [...free(8), gpu({ id: 'gpu-1' })] }, { gpus: free(5.5) }],
    ['another model came', { gpus: free(8) }, { gpus: free(5.5), others: [model('other')] }],
    ['another model is on its way', { gpus: free(8) }, { gpus: free(5.5), others: [model('other', { state: 'loading' })] }],
    ['it is gone again', { gpus: free(8) }, { gpus: free(5.5), isGone: true }],
    ['more is free than before', { gpus: free(5) }, { gpus: free(5.5) }],
  ])('is not learned when %s', async (_, before, after) => {
    expect(await load(setUp(), before, after)).toBeNull();
  });

  it('is believed to be far more than its size says only when it is seen twice in a row', async () => {
    const parts = setUp();
    expect(await load(parts, { gpus: free(8) }, { gpus: free(1) })).toBeNull();
    expect(await load(parts, { gpus: free(8) }, { gpus: free(5.5) })).toBe(2.5 * GIB);
    const large = setUp();
    expect(await load(large, { gpus: free(8) }, { gpus: free(1) })).toBeNull();
    expect(await load(large, { gpus: free(8) }, { gpus: free(1) })).toBe(7 * GIB);
  });
});
