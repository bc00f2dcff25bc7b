import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestCluster, type TestCluster } from '../../coordinator/src/redis/test-cluster.ts';
import { Fleet } from './fleet.ts';
import { readStream } from './stream.ts';

const MODELS = ['story:1b', 'tale:1b', 'saga:1b'];
let count = 0;
const ask = (model: string, max_tokens: number, more = '') => {
  count += 1;
  return { model, stream: true, max_tokens, messages: [{ role: 'user', content: `Tell me story ${count}.${more}` }] };
};

describe('two coordinators on Redis Cluster', () => {
  let cluster: TestCluster;
  let first: Fleet;
  let second: Fleet;

  beforeAll(async () => {
    cluster = await startTestCluster();
    const node = (name: string) => ({
      name,
      models: MODELS.map((model) => `${model}=0.1GB,slots=3,tps=200,caps=chat`).join(';'),
      tuning: { prefillMs: 5, coldLoadMsPerGb: 0 },
    });
    first = await Fleet.start({ nodes: [node('left')], env: { LAI_REDIS_URL: cluster.url } });
    second = await Fleet.startReplica(first, { nodes: [node('right')], redisUrl: cluster.url });
    for (const fleet of [first, second]) {
      await fleet.until('sees both', ({ nodes }) => nodes.filter(({ liveness }) => liveness === 'alive').length === 2);
      for (const model of MODELS) await fleet.warmUp(model);
    }
  });
  afterAll(async () => {
    await second?.stop();
    await first?.stop();
    await cluster?.stop();
  });

  it('serve models whose queues live on different masters, through either door, on either node', async () => {
    const doors = [first, second];
    const answers = await Promise.all(
      Array.from({ length: 60 }, async (_, at) => {
        const response = await (doors[at % 2] ?? first).chat(ask(MODELS[at % 3] ?? '', 8));
        return { node: response.headers.get('x-lai-node'), seen: await readStream(response) };
      }),
    );
    expect(answers.filter(({ seen }) => seen.isDone && seen.errors.length === 0)).toHaveLength(60);
    expect(new Set(answers.map(({ node }) => node))).toEqual(new Set(['left', 'right']));
    await first.until('nothing is left over', ({ running, waiting }) => running === 0 && waiting === 0);
  });

  it('finish an asynchronous job', async () => {
    const headers = { authorization: `Bearer ${first.key}`, 'content-type': 'application/json' };
    const body = JSON.stringify({ ...ask(MODELS[0] ?? '', 5), stream: false });
    const submitted = await fetch(`${first.url}/v1/jobs`, { method: 'POST', headers, body });
    expect(submitted.status).toBe(202);
    const { id } = (await submitted.json()) as { id: string };
    const state = async () =>
      ((await (await fetch(`${second.url}/v1/jobs/${id}`, { headers })).json()) as { status: string }).status;
    await expect.poll(state, { timeout: 20_000 }).toBe('completed');
  });

  it('answer on, or say so, while a master dies and comes back empty', async () => {
    const endings: Promise<boolean>[] = [];
    const restart = cluster.restart(1);
    for (let at = 0; at < 30; at += 1) endings.push(explicitly(first.chat(ask(MODELS[at % 3] ?? '', 8))));
    await restart;
    expect(await Promise.all(endings)).toEqual(Array(30).fill(true));
    for (const model of MODELS) {
      const answered = async () => (await readStream(await second.chat(ask(model, 5)))).isDone;
      await expect.poll(answered, { timeout: 20_000 }).toBe(true);
    }
  });
});

/** An answer, or an error that says so; never half of one. */
const explicitly = async (asking: Promise<Response>): Promise<boolean> => {
  const response = await asking;
  if (!response.ok) return ((await response.json()) as { error: { code: string } }).error.code.length > 0;
  const seen = await readStream(response);
  return seen.isDone ? seen.errors.length === 0 : seen.errors.length === 1;
};
