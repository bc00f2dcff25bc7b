import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Fleet } from './fleet.ts';
import { readStream } from './stream.ts';

const MODEL = 'story:1b';
/** Nobody has loaded it. */
const COLD = 'cold:1b';

describe('under load', () => {
  let fleet: Fleet;

  beforeAll(async () => {
    const node = (name: string, slots: number) => ({
      name,
      models: [MODEL, COLD].map((model) => `${model}=0.1GB,slots=${slots},tps=400,caps=chat`).join('; '),
      tuning: { prefillMs: 5, coldLoadMsPerGb: 100 },
    });
    fleet = await Fleet.start({ nodes: [node('left', 3), node('right', 2)] });
  });
  afterAll(() => fleet?.stop());

  const ask = (max_tokens: number, stream = true) => ({
    model: MODEL,
    stream,
    max_tokens,
    messages: [{ role: 'user', content: 'Tell me a story.' }],
  });

  it('200 requests at once are all answered and no slot is given twice', async () => {
    await fleet.warmUp(MODEL);
    const answers = await Promise.all(Array.from({ length: 200 }, async () => readStream(await fleet.chat(ask(12)))));
    expect(answers.filter((seen) => seen.isDone && seen.errors.length === 0)).toHaveLength(200);
    const states = await Promise.all(['left', 'right'].map((name) => fleet.node(name).engineState()));
    for (const model of states.flatMap((state) => state.models)) {
      expect(model.maxSlotsInUse).toBeLessThanOrEqual(model.slots);
      expect(model.queueLength).toBe(0);
    }
    // All slots worked: the requests were spread and did not queue up behind one node.
    expect(states.map((state) => state.models[0]?.maxSlotsInUse)).toEqual([3, 2]);
    // The engine counts the warm-up as a request too; beyond that, nothing ran twice.
    expect(states.reduce((sum, state) => sum + state.requests.seen, 0) - 2).toBe(200);
  });

  it('no model is loaded again for being asked for a lot', async () => {
    const loads = await Promise.all(fleet.nodes.map(async (node) => (await node.engineState()).models[0]?.loads.started));
    expect(loads).toEqual([1, 1]);
  });

  it('a cold model is loaded by no node more than once, however many want it', async () => {
    const wanted = { ...ask(12), model: COLD };
    const answers = await Promise.all(Array.from({ length: 200 }, async () => readStream(await fleet.chat(wanted))));
    expect(answers.filter((seen) => seen.isDone && seen.errors.length === 0)).toHaveLength(200);
    const states = await Promise.all(fleet.nodes.map((node) => node.engineState()));
    const loads = states.map(({ models }) => models.find(({ name }) => name === COLD)?.loads.started ?? 0);
    // The other node's load may come later, when waiting has become dearer than loading.
    expect(Math.max(...loads)).toBe(1);
  });

  it('a client that leaves stops its generation within a token and frees the slot', async () => {
    const leaving = new AbortController();
    const response = await fleet.chat(ask(1_000), { signal: leaving.signal });
    const served = fleet.node(response.headers.get('x-lai-node') ?? '');
    const reading = readStream(response, () => leaving.abort());
    await expect(reading).rejects.toThrow();
    await fleet.until('the slot is free', (status) => status.running === 0);
    await expect.poll(async () => (await served.engineState()).models[0]?.slotsInUse).toBe(0);
    expect((await served.engineState()).tokens.afterAbort).toBeLessThanOrEqual(1);
  });

  /** Takes all five slots for as long as the test likes. */
  const takeAllSlots = async (): Promise<() => Promise<void>> => {
    const leaving = new AbortController();
    const running = Array.from({ length: 5 }, () =>
      fleet.chat(
        { ...ask(1_000), messages: [{ role: 'user', content: 'Slowly. #fault=slow:1:100' }] },
        { signal: leaving.signal },
      ),
    );
    await fleet.until('all slots are taken', (status) => status.running === 5);
    return async () => {
      leaving.abort();
      await Promise.allSettled(running);
      await fleet.until('nothing runs', (status) => status.running === 0);
    };
  };

  it('a client that leaves the queue is forgotten', async () => {
    const freeSlots = await takeAllSlots();
    const leaving = new AbortController();
    const waiting = fleet.chat(ask(10), { signal: leaving.signal });
    await fleet.until('one waits', (status) => status.waiting === 1);
    leaving.abort();
    await expect(waiting).rejects.toThrow();
    await fleet.until('nobody waits', (status) => status.waiting === 0);
    expect((await fleet.status()).running).toBe(5);
    await freeSlots();
  });

  it('a request that finds no slot in time gets 503 with the reasons and a Retry-After', async () => {
    const freeSlots = await takeAllSlots();
    const response = await fleet.chat(ask(10), { headers: { 'x-lai-timeout': '0.3' } });
    expect(response.status).toBe(503);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
    const { error } = (await response.json()) as { error: { code: string; message: string } };
    expect(error.code).toBe('no_capacity');
    expect(error.message).toContain('left: is busy');
    await freeSlots();
  });

  it('a non-streaming client gets the same answer in one piece', async () => {
    const response = await fleet.chat(ask(8, false));
    const body = (await response.json()) as {
      object: string;
      choices: { message: { content: string }; finish_reason: string }[];
      usage: { completion_tokens: number };
    };
    expect(body).toMatchObject({
      object: 'chat.completion',
      usage: { completion_tokens: 8 },
      choices: [{ index: 0, finish_reason: 'length' }],
    });
    expect(body.choices[0]?.message.content).toContain('[simulated on');
  });
});

describe('while it waits', () => {
  let fleet: Fleet;

  beforeAll(async () => {
    fleet = await Fleet.start({
      nodes: [
        { name: 'only', models: `${MODEL}=1GB,slots=1,tps=200,caps=chat`, tuning: { coldLoadMsPerGb: 1_500, prefillMs: 5 } },
      ],
      env: { LAI_KEEP_ALIVE_MS: '200' },
    });
  });
  afterAll(() => fleet?.stop());

  it('a streaming client hears comments, and after them the answer', async () => {
    const response = await fleet.chat({
      model: MODEL,
      stream: true,
      max_tokens: 5,
      messages: [{ role: 'user', content: 'Hi.' }],
    });
    expect(response.headers.get('x-lai-queue-position')).toBe('1');
    const seen = await readStream(response);
    expect(seen.comments.length).toBeGreaterThan(2);
    expect(seen.comments[0]).toMatch(/^: keep-alive, position 1 in the queue, about \d+ s$/);
    expect(seen).toMatchObject({ isDone: true, errors: [] });
  });

  it('and is told in the stream when the time is up after comments have gone out', async () => {
    const leaving = new AbortController();
    const busy = await fleet.chat(
      { model: MODEL, stream: true, max_tokens: 1_000, messages: [{ role: 'user', content: 'Hi.' }] },
      { signal: leaving.signal },
    );
    await fleet.until('the slot is taken', (status) => status.running === 1);
    const response = await fleet.chat(
      { model: MODEL, stream: true, max_tokens: 5, messages: [{ role: 'user', content: 'Hi.' }] },
      { headers: { 'x-lai-timeout': '0.7' } },
    );
    const seen = await readStream(response);
    expect(response.status).toBe(200);
    expect(seen.errors.map((error) => error.code)).toEqual(['no_capacity']);
    expect(seen.isDone).toBe(false);
    leaving.abort();
    await expect(readStream(busy)).rejects.toThrow();
  });
});
