import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Fleet } from './fleet.ts';

const CROWD = 8;
/** dispatch/chooser.ts: so long nobody is sent away for another model, and so long others are kept away while it waits. */
const PATIENCE_MS = 5_000;
const DRAIN_MS = 20_000;
const ANSWER_TOKENS = 60;

describe('a model on a card that holds one', () => {
  let fleet: Fleet;
  let replica: Fleet;
  beforeAll(async () => {
    // So small that a load is expected to take little: whoever waits has the least patience.
    const small = ['story:1b', 'poem:1b', 'broken:1b'].map((name) => `${name}=1GB,slots=4,tps=60,caps=chat`);
    const models = [...small, 'giant:1b=40GB,caps=chat'].join(';');
    fleet = await Fleet.start({ nodes: [{ name: 'only', models, vramGb: 2, tuning: { coldLoadMsPerGb: 500 } }] });
    replica = await Fleet.startReplica(fleet, { nodes: [] });
    await fleet.warmUp('story:1b');
  });
  afterAll(async () => {
    await replica?.stop();
    await fleet?.stop();
  });

  const ask = async (at: Fleet, model: string) => {
    const askedAtMs = performance.now();
    const body = { model, max_tokens: ANSWER_TOKENS, messages: [{ role: 'user', content: `A ${model}, ${askedAtMs}.` }] };
    const response = await at.chat(body, { headers: { 'x-lai-timeout': '60' } });
    const text = await response.text();
    const tookMs = performance.now() - askedAtMs;
    return { status: response.status, headers: response.headers, text, tookMs };
  };

  /** As many as ask again and again, until they are told to stop. */
  const crowdFor = (at: () => Fleet, model: string) => {
    let isOver = false;
    let served = 0;
    const all = Array.from({ length: CROWD }, async () => {
      while (!isOver) {
        const { status } = await ask(at(), model);
        expect(status).toBe(200);
        served += 1;
      }
    });
    return {
      served: () => served,
      end: async () => {
        isOver = true;
        await Promise.all(all);
      },
    };
  };

  it.each<[string, (turn: number) => Fleet]>([
    ['over one coordinator', () => fleet],
    ['over two coordinators', (turn) => (turn % 2 === 0 ? fleet : replica)],
  ])('that everybody uses does not keep others from theirs, %s', { timeout: 120_000 }, async (_, at) => {
    let turn = 0;
    const crowd = crowdFor(() => at(turn++), 'story:1b');
    await expect.poll(crowd.served).toBeGreaterThan(CROWD);
    const before = (await fleet.nodes[0]?.engineState())?.models.find(({ name }) => name === 'poem:1b')?.loads.started ?? 0;
    const { status, tookMs } = await ask(replica, 'poem:1b');
    console.log(`beside ${CROWD} who use another model: answered after ${Math.round(tookMs)} ms`);
    expect(status).toBe(200);
    expect(tookMs).toBeGreaterThan(PATIENCE_MS);
    expect(tookMs).toBeLessThan(PATIENCE_MS + DRAIN_MS);
    // And they go on, each with the patience of whoever finds the card taken.
    const served = crowd.served();
    await expect.poll(crowd.served, { timeout: PATIENCE_MS + DRAIN_MS }).toBeGreaterThan(served + CROWD);
    await crowd.end();
    const state = (await fleet.nodes[0]?.engineState())?.models.find(({ name }) => name === 'poem:1b');
    expect((state?.loads.started ?? 0) - before).toBe(1);
  });

  it('that cannot be loaded is told of at once, after a second try', async () => {
    await fleet.nodes[0]?.control('fault', { kind: 'oom', model: 'broken:1b', times: 0 });
    const first = await ask(fleet, 'broken:1b');
    expect(first).toMatchObject({ status: 503 });
    expect(JSON.parse(first.text)).toMatchObject({ error: { code: 'load_failed' } });
    expect(Number(first.headers.get('retry-after'))).toBe(30);
    expect(first.tookMs).toBeLessThan(PATIENCE_MS + DRAIN_MS);
    const loads = async () => (await fleet.nodes[0]?.engineState())?.models.find(({ name }) => name === 'broken:1b')?.loads;
    const before = await loads();
    expect(await ask(fleet, 'broken:1b')).toMatchObject({ status: 503 });
    expect(await loads()).toEqual(before);
  });

  it('that is larger than the machine is refused at once', async () => {
    const { status, text } = await ask(fleet, 'giant:1b');
    expect(status).toBe(400);
    expect(JSON.parse(text)).toMatchObject({
      error: { code: 'model_too_large', message: expect.stringContaining('is all there is') },
    });
  });
});
