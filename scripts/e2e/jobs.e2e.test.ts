import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Fleet } from './fleet.ts';

const MODEL = 'story:1b';
const SECRET = `whsec_${Buffer.alloc(32, 'secret').toString('base64')}`;

interface JobView {
  readonly id: string;
  readonly status: string;
  readonly node: string | null;
  readonly result: {
    readonly object: string;
    readonly choices: readonly { readonly message: { readonly content: string } }[];
  } | null;
  readonly error: { readonly code: string } | null;
}

describe('asynchronous jobs', () => {
  let fleet: Fleet;
  let hookPort: number;
  const hook = createServer();

  beforeAll(async () => {
    await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve));
    hookPort = (hook.address() as AddressInfo).port;
    const node = (name: string) => ({
      name,
      models: `${MODEL}=0.1GB,slots=2,tps=100,caps=chat; vectors=0.1GB,caps=embedding,dims=64`,
      tuning: { prefillMs: 5, coldLoadMsPerGb: 0 },
    });
    fleet = await Fleet.start({
      nodes: [node('left'), node('right')],
      env: { LAI_WEBHOOK_HOSTS: `127.0.0.1:${hookPort}`, LAI_WEBHOOK_SECRET: SECRET },
    });
    await fleet.warmUp(MODEL);
  });
  afterAll(async () => {
    hook.close();
    await fleet?.stop();
  });

  const call = async (path: string, init: RequestInit & { headers?: Record<string, string> } = {}, door = fleet) => {
    const response = await fetch(`${door.url}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${fleet.key}`, 'content-type': 'application/json', ...init.headers },
    });
    return {
      status: response.status,
      body: (await response.json()) as JobView & { error: { code: string; message: string } | null },
    };
  };
  const submit = (text: string, headers: Record<string, string> = {}, max_tokens = 10) =>
    call('/v1/jobs', {
      method: 'POST',
      headers,
      body: JSON.stringify({ model: MODEL, max_tokens, messages: [{ role: 'user', content: text }] }),
    });
  const ended = async (id: string, limitMs = 30_000): Promise<JobView> => {
    await expect
      .poll(async () => (await call(`/v1/jobs/${id}`)).body.status, { timeout: limitMs, interval: 50 })
      .not.toMatch(/queued|running/);
    return (await call(`/v1/jobs/${id}`)).body;
  };

  it('are accepted with 202 and keep their answer', async () => {
    const { status, body } = await submit('Tell me a story.');
    expect(status).toBe(202);
    const job = await ended(body.id);
    expect(job.status).toBe('completed');
    expect(job.result?.object).toBe('chat.completion');
    expect(job.result?.choices[0]?.message.content).toContain(`[simulated on ${job.node}]`);
  });

  it('submitted twice under one Idempotency-Key are one job, and another body under it is refused', async () => {
    const headers = { 'idempotency-key': 'order-1' };
    const [first, second] = await Promise.all([submit('Once.', headers), submit('Once.', headers)]);
    expect(first.body.id).toBe(second.body.id);
    const other = await submit('Twice.', headers);
    expect(other.status).toBe(422);
    expect(other.body.error?.code).toBe('idempotency_mismatch');
    await ended(first.body.id);
    const requests = await Promise.all(fleet.nodes.map(async (node) => (await node.engineState()).requests.done));
    // The story before, this one, and a load on each node.
    expect(requests.reduce((sum, count) => sum + count, 0)).toBe(4);
  });

  it('embed thousands of texts, whose vectors are more than one message takes', async () => {
    const input = Array.from({ length: 3_000 }, (_, at) => `Text number ${at}.`);
    const { body } = await call('/v1/jobs', { method: 'POST', body: JSON.stringify({ model: 'vectors', input }) });
    const { status, result } = (await ended(body.id)) as unknown as {
      status: string;
      result: { object: string; data: unknown[] };
    };
    expect({ status, object: result?.object, length: result?.data.length }).toEqual({
      ...{ status: 'completed', object: 'list', length: 3_000 },
    });
    expect(JSON.stringify(result).length).toBeGreaterThan(2 ** 20);
  });

  it('are cancelled while they run', async () => {
    const { body } = await submit('A long story.', {}, 1_000);
    await expect.poll(async () => (await call(`/v1/jobs/${body.id}`)).body.status, { timeout: 5_000 }).toBe('running');
    expect((await call(`/v1/jobs/${body.id}/cancel`, { method: 'POST' })).body.status).toBe('canceled');
    await fleet.until('the slot is free', (status) => status.running === 0);
    expect((await call(`/v1/jobs/${body.id}`)).body).toMatchObject({ status: 'canceled', result: null });
  });

  it('bad ones are refused at once', async () => {
    expect((await call('/v1/jobs', { method: 'POST', body: '{"a":1}' })).body.error?.code).toBe('invalid_value');
    expect((await submit('x', { 'x-lai-webhook': 'http://169.254.169.254/' })).body.error?.code).toBe('invalid_header');
    expect((await submit('x', { 'x-lai-priority': 'now' })).body.error?.code).toBe('invalid_header');
    expect((await call('/v1/jobs/job_00000000000000000000000000000000')).status).toBe(404);
  });

  it('are refused at once while Redis is too full, and accepted again afterwards', async () => {
    const headers = { 'idempotency-key': 'late-1' };
    const setMemory = (bytes: number) => fleet.redisCli('config', 'set', 'maxmemory', String(bytes));
    const used = Number(/used_memory:(\d+)/.exec(await fleet.redisCli('info', 'memory'))?.[1]);
    await setMemory(Math.round(used / 0.85));
    try {
      const startedMs = performance.now();
      const response = await fetch(`${fleet.url}/v1/jobs`, {
        method: 'POST',
        headers: { authorization: `Bearer ${fleet.key}`, ...headers },
        body: JSON.stringify({ model: MODEL, max_tokens: 10, messages: [{ role: 'user', content: 'Too late.' }] }),
      });
      expect(performance.now() - startedMs).toBeLessThan(1_000);
      expect([response.status, response.headers.get('retry-after')]).toEqual([503, '30']);
      expect(await response.json()).toMatchObject({ error: { code: 'queue_full', message: expect.stringMatching(/Redis/) } });
      // Who waits at the door is not kept in Redis and goes on.
      const chat = await fleet.chat({ model: MODEL, stream: false, max_tokens: 3, messages: [{ role: 'user', content: 'Hi.' }] });
      expect(chat.status).toBe(200);
      await chat.json();
    } finally {
      await setMemory(2 ** 30);
    }
    const { status, body } = await submit('Too late.', headers);
    expect(status).toBe(202);
    expect((await ended(body.id)).status).toBe('completed');
  });

  it('tell a webhook when they have ended, signed as the openai client checks it', async () => {
    const { promise: told, resolve } = Promise.withResolvers<{ headers: Headers; body: string }>();
    hook.once('request', async (request, response) => {
      let body = '';
      for await (const piece of request) body += piece;
      resolve({ headers: new Headers(request.headers as Record<string, string>), body });
      response.end();
    });
    const { body } = await submit('Tell the hook.', { 'x-lai-webhook': `http://127.0.0.1:${hookPort}/done` });
    const news = await told;
    const client = new OpenAI({ apiKey: fleet.key });
    expect(await client.webhooks.unwrap(news.body, news.headers, SECRET)).toMatchObject({
      ...{ object: 'event', type: 'job.completed' },
      data: { id: body.id, status: 'completed', result: { object: 'chat.completion' } },
    });
    const forged = news.body.replace('completed', 'failed');
    await expect(client.webhooks.unwrap(forged, news.headers, SECRET)).rejects.toThrow(/signature/);
    // A listed host, asked for in words that parsers read differently, is no listed host.
    for (const trick of [`http://127.0.0.1:${hookPort}\\@169.254.169.254/`, `http://a@127.0.0.1:${hookPort}/`])
      expect((await submit('x', { 'x-lai-webhook': trick })).body.error?.code).toBe('invalid_header');
  });

  it('outlive the death of agent, coordinator and Redis, and end once', async () => {
    const ids = (await Promise.all(Array.from({ length: 12 }, (_, index) => submit(`Story ${index}.`, {}, 150)))).map(
      ({ body }) => body.id,
    );
    await fleet.until('some run', (status) => status.running > 0);
    fleet.node('left').agent.kill('SIGKILL');
    await fleet.restartAgent('left');
    const redisPid = async () =>
      Number(/process_id:(\d+)/.exec(await fleet.redisCli('info', 'server').catch(() => ''))?.[1] ?? 0);
    const killed = await redisPid();
    process.kill(killed, 'SIGKILL');
    await expect.poll(redisPid).toSatisfy((pid) => pid > 0 && pid !== killed);
    await expect.poll(async () => (await fleet.status()).redis).toBe('up');
    fleet.coordinator.kill('SIGKILL');
    await fleet.coordinator.exited;
    await fleet.restartCoordinator();
    await fleet.until(
      'the nodes are back',
      (status) => status.nodes.filter((node) => node.liveness === 'alive').length === 2,
      30_000,
    );
    const jobs = await Promise.all(ids.map((id) => ended(id, 60_000)));
    expect(jobs.map((job) => job.status)).toEqual(Array(12).fill('completed'));
    for (const job of jobs) expect(job.result?.choices[0]?.message.content).toContain('[simulated on');
  }, 120_000);
});

describe('explain', () => {
  let fleet: Fleet;

  beforeAll(async () => {
    const tuning = { prefillMs: 5, coldLoadMsPerGb: 0 };
    fleet = await Fleet.start({
      nodes: [
        { name: 'able', models: `${MODEL}=0.1GB,slots=2,tps=100,caps=chat`, tuning },
        { name: 'other', models: 'other:1b=0.1GB,slots=2,tps=100,caps=chat', tuning },
      ],
    });
  });
  afterAll(() => fleet?.stop());

  it('says who could have had a request, who could not and why', async () => {
    const response = await fleet.chat({
      model: MODEL,
      stream: false,
      max_tokens: 3,
      messages: [{ role: 'user', content: 'Hi.' }],
    });
    const id = response.headers.get('x-request-id') ?? '';
    await response.json();
    await expect.poll(() => fleet.lai('explain', id).catch(() => ''), { timeout: 5_000 }).toContain(id);
    const text = await fleet.lai('explain', id);
    expect(text).toMatch(/attempt 1: .*able.* with story:1b: end/);
    expect(text).toMatch(/1\. able \/ story:1b: run, first token expected after \d+ ms/);
    expect(text).toMatch(/✗ other: no_model/);
    await expect(fleet.lai('explain', 'req_none')).rejects.toThrow(/Nothing is known/);
  });
});
