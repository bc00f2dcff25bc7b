import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Fleet } from './fleet.ts';
import { readStream } from './stream.ts';

const MODEL = 'story:1b';
let count = 0;
const ask = (max_tokens: number, more = '') => {
  count += 1;
  return { model: MODEL, stream: true, max_tokens, messages: [{ role: 'user', content: `Tell me story ${count}.${more}` }] };
};

describe('two coordinators on one Redis', () => {
  let first: Fleet;
  let second: Fleet;

  beforeAll(async () => {
    const node = (name: string) => ({
      name,
      models: `${MODEL}=0.1GB,slots=3,tps=200,caps=chat; of-${name}=0.1GB,slots=3,tps=200,caps=chat`,
      tuning: { prefillMs: 5, coldLoadMsPerGb: 0 },
    });
    first = await Fleet.start({ nodes: [node('left')] });
    // Its agents join through it; Redis and database are the first one's.
    second = await Fleet.startReplica(first, { nodes: [node('right')] });
    await first.until(
      'the first sees both nodes',
      (status) => status.nodes.filter((one) => one.liveness === 'alive').length === 2,
    );
    await second.until(
      'the second sees both nodes',
      (status) => status.nodes.filter((one) => one.liveness === 'alive').length === 2,
    );
    await first.warmUp(MODEL);
    await second.warmUp(MODEL);
    for (const door of [first, second])
      await door.until('both models are warm, as both see it', ({ nodes }) =>
        nodes.every(({ snapshot }) => snapshot?.models[0]?.state === 'warm'),
      );
  });
  afterAll(async () => {
    await second?.stop();
    await first?.stop();
  });

  it('serve the whole fleet through either door', async () => {
    const answers = await Promise.all(
      Array.from({ length: 6 }, async () => {
        const response = await first.chat(ask(40));
        return { node: response.headers.get('x-lai-node'), seen: await readStream(response) };
      }),
    );
    expect(answers.every(({ seen }) => seen.isDone && seen.errors.length === 0)).toBe(true);
    expect(new Set(answers.map(({ node }) => node))).toEqual(new Set(['left', 'right']));
    for (const { node, seen } of answers) expect(seen.content).toContain(`[simulated on ${node}]`);
  });

  it('count slots together: 120 requests through both doors, none over-committed', async () => {
    const doors = [first, second];
    const answers = await Promise.all(
      Array.from({ length: 120 }, async (_, index) => readStream(await (doors[index % 2] ?? first).chat(ask(8)))),
    );
    expect(answers.filter((seen) => seen.isDone && seen.errors.length === 0)).toHaveLength(120);
    for (const node of [first.node('left'), second.node('right')]) {
      const { models } = await node.engineState();
      expect(models[0]?.maxSlotsInUse).toBe(3);
      expect(models[0]?.queueLength).toBe(0);
    }
  });

  it("stop a generation on the other one's node within a token when the client leaves", async () => {
    const leaving = new AbortController();
    const response = await first.chat({ ...ask(1_000), model: 'of-right' }, { signal: leaving.signal });
    expect(response.headers.get('x-lai-node')).toBe('right');
    await expect(readStream(response, () => leaving.abort())).rejects.toThrow();
    await expect.poll(async () => (await second.node('right').engineState()).models[1]?.slotsInUse).toBe(0);
    expect((await second.node('right').engineState()).tokens.afterAbort).toBeLessThanOrEqual(1);
  });

  it('answer on when one is killed: uncommitted requests on its nodes move, others are told', async () => {
    const running = Array.from({ length: 6 }, async () => readStream(await first.chat(ask(200, ' #fault=slow:1:25'))));
    await first.until('all slots are taken', (status) => status.running === 6);
    second.coordinator.kill('SIGKILL');
    const endings = await Promise.all(running);
    for (const seen of endings) {
      const isAnswer = seen.isDone && seen.errors.length === 0;
      const isHonest = !seen.isDone && seen.errors.length === 1 && seen.errors[0]?.code === 'node_lost';
      expect(isAnswer || isHonest).toBe(true);
    }
    expect((await readStream(await first.chat(ask(5)))).isDone).toBe(true);
    await second.restartCoordinator();
    await first.until(
      'the other node is back',
      (status) => status.nodes.filter((one) => one.liveness === 'alive').length === 2,
      30_000,
    );
  });

  it('give back the slots that a killed one had on their nodes', async () => {
    const { nodes } = await first.status();
    const left = nodes.find(({ snapshot }) => snapshot?.name === 'left')?.nodeId;
    // Whoever does not know that they are free waits for their keys to expire, half a minute after the last renewal.
    const leases = async () => (await first.redisCli('--scan', '--pattern', `lai:{node:${left}}:leases:*`)).trim();
    const begun = await Promise.all(Array.from({ length: 6 }, () => second.chat(ask(400, ' #fault=slow:1:40'))));
    second.coordinator.kill('SIGKILL');
    await Promise.allSettled(begun.map((response) => readStream(response)));
    expect(await leases()).not.toBe('');
    await expect.poll(leases, { timeout: 15_000 }).toBe('');
  });
});
