import { setTimeout as pause } from 'node:timers/promises';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Fleet } from './fleet.ts';
import { readStream } from './stream.ts';

const MODEL = 'story:1b';
let count = 0;
/** Another prompt each time: the same one that kills two nodes is blocked. */
const ask = () => {
  count += 1;
  return { model: MODEL, stream: true, max_tokens: 40, messages: [{ role: 'user', content: `Tell me story ${count}.` }] };
};

describe('a node that dies', () => {
  let fleet: Fleet;

  beforeAll(async () => {
    const node = (name: string) => ({
      name,
      models: `${MODEL}=0.1GB,slots=4,tps=40,ctx=8192,caps=chat`,
      tuning: { prefillMs: 1_000, coldLoadMsPerGb: 0 },
    });
    fleet = await Fleet.start({ nodes: [node('left'), node('right')] });
    await fleet.warmUp(MODEL);
  });
  afterAll(() => fleet?.stop());

  /** The node whose engine is working on the only request. */
  const workingNode = async (): Promise<string> => {
    for (;;) {
      for (const node of fleet.nodes) if ((await node.engineState()).requests.active > 0) return node.name;
    }
  };

  const revive = async (name: string) => {
    await fleet.restartAgent(name);
    await fleet.until(`${name} is back and warm`, (status) =>
      status.nodes.some(
        (node) => node.snapshot?.name === name && node.liveness === 'alive' && node.snapshot.models[0]?.state === 'warm',
      ),
    );
  };

  it('before the first token is replaced by another, and the client notices nothing', async () => {
    const answering = fleet.chat(ask());
    const victim = await workingNode();
    fleet.node(victim).agent.kill('SIGKILL');
    const response = await answering;
    const seen = await readStream(response);
    expect(response.status).toBe(200);
    expect(seen).toMatchObject({ isDone: true, finishReason: 'length', errors: [] });
    expect(response.headers.get('x-lai-node')).not.toBe(victim);
    expect(response.headers.get('x-lai-attempts')).toBe('2');
    expect(seen.content).toContain(`[simulated on ${response.headers.get('x-lai-node')}]`);
    await revive(victim);
  });

  it('in mid-stream ends the answer with exactly one error event and no [DONE]', async () => {
    const response = await fleet.chat(ask());
    const served = response.headers.get('x-lai-node') ?? '';
    const seen = await readStream(response, () => fleet.node(served).agent.kill('SIGKILL'));
    expect(seen.errors).toHaveLength(1);
    expect(seen.errors[0]).toMatchObject({ code: 'node_lost', type: 'server_error', param: null });
    expect(seen.isDone).toBe(false);
    expect(seen.content).not.toBe('');
    await revive(served);
  });

  it('in mid-stream makes the unmodified openai client throw', async () => {
    const client = new OpenAI({ baseURL: `${fleet.url}/v1`, apiKey: fleet.key, maxRetries: 0 });
    const { data: stream, response } = await client.chat.completions
      .create({ ...ask(), stream: true, messages: [{ role: 'user', content: 'Hello.' }] })
      .withResponse();
    const served = response.headers.get('x-lai-node') ?? '';
    const reading = (async () => {
      for await (const _chunk of stream) fleet.node(served).agent.kill('SIGKILL');
    })();
    await expect(reading).rejects.toMatchObject({ code: 'node_lost' });
    await revive(served);
  });

  it('in mid-answer is replaced for a client that does not stream: it has seen nothing yet', async () => {
    const before = new Map(
      await Promise.all(fleet.nodes.map(async (node) => [node.name, (await node.engineState()).tokens.generated] as const)),
    );
    const answering = fleet.chat({ ...ask(), stream: false });
    const victim = await workingNode();
    const generated = async () => (await fleet.node(victim).engineState()).tokens.generated - (before.get(victim) ?? 0);
    await expect.poll(generated, { timeout: 10_000, interval: 20 }).toBeGreaterThan(5);
    fleet.node(victim).agent.kill('SIGKILL');
    const response = await answering;
    const body = (await response.json()) as { choices: { message: { content: string } }[]; usage: { completion_tokens: number } };
    expect(response.headers.get('x-lai-node')).not.toBe(victim);
    expect(response.headers.get('x-lai-attempts')).toBe('2');
    expect(body.usage.completion_tokens).toBe(40);
    expect(body.choices[0]?.message.content.match(/\[simulated on /g)).toHaveLength(1);
    await revive(victim);
  });

  it('as the only one that has the model is waited for', async () => {
    for (const node of fleet.nodes) node.agent.kill('SIGKILL');
    await fleet.until('nobody is there', (status) => status.nodes.every((node) => node.liveness === 'offline'));
    const answering = fleet.chat(ask());
    await fleet.until('the request waits', (status) => status.waiting === 1);
    for (const node of [...fleet.nodes]) await fleet.restartAgent(node.name);
    const seen = await readStream(await answering);
    expect(seen).toMatchObject({ isDone: true, errors: [] });
    await fleet.until('both are back', (status) => status.nodes.every((node) => node.liveness === 'alive'));
  });

  it('leaves no slot taken', async () => {
    await fleet.until('nothing runs', (status) => status.running === 0 && status.waiting === 0);
    for (const node of fleet.nodes) {
      expect((await node.engineState()).models.map((model) => model.slotsInUse)).toEqual([0]);
    }
  });
});

describe('the only node of a home', () => {
  let fleet: Fleet;

  beforeAll(async () => {
    fleet = await Fleet.start({
      nodes: [
        {
          name: 'alone',
          models: `${MODEL}=0.1GB,slots=2,tps=200,ctx=8192,caps=chat`,
          tuning: { prefillMs: 20, coldLoadMsPerGb: 0 },
        },
      ],
    });
    await fleet.warmUp(MODEL);
  });
  afterAll(() => fleet?.stop());

  it.each([
    ['error', 'engine_error'],
    ['crash', 'engine_crashed'],
  ])('whose engine fails (%s) tells why, and nobody waits for another that is not there', async (kind, code) => {
    await fleet.node('alone').control('fault', { kind, times: 1 });
    const response = await fleet.chat({ ...ask(), stream: false }, { signal: AbortSignal.timeout(10_000) });
    const { error } = (await response.json()) as { error: { code: string } };
    expect([response.status, error.code]).toEqual([502, code]);
  });

  it('that does not take a request at once is waited for', async () => {
    // After what the tests before have done to its engine it is loaded again.
    await readStream(await fleet.chat(ask()));
    await fleet.until('it is warm again', ({ nodes }) => nodes[0]?.snapshot?.models[0]?.state === 'warm');
    const { agent } = fleet.node('alone');
    agent.kill('SIGSTOP');
    const answering = fleet.chat(ask());
    await fleet.until('it is on its way', ({ running }) => running === 1);
    // Longer than a node with others beside it would have, and not so long that it counts as dead.
    await pause(1_000);
    agent.kill('SIGCONT');
    const response = await answering;
    expect(await readStream(response)).toMatchObject({ isDone: true, errors: [] });
    expect(response.headers.get('x-lai-attempts')).toBe('1');
  });
});
