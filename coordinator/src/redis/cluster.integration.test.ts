import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { bullQueues } from '../dispatch/bullmq-queue.ts';
import { redisLeaseStore } from '../dispatch/lease-store.ts';
import { redisLoadClaims } from '../dispatch/load-claims.ts';
import { redisStrikeStore } from '../dispatch/strike-store.ts';
import { JOB_LIMITS, JobStore } from '../jobs/job-store.ts';
import { payloadCipher } from '../jobs/payload-cipher.ts';
import { Replicas } from '../replicas/replicas.ts';
import { checkPolicy, connectRedis, isUp, type LaiRedis, serversOf } from './client.ts';
import { RedisMemory } from './memory.ts';
import { Subscriber } from './subscriber.ts';
import { startTestCluster, type TestCluster } from './test-cluster.ts';

const log = pino({ level: 'silent' });
const target = (model: string) => ({ model, capabilities: [], contextTokens: 0 });

describe('on Redis Cluster', () => {
  let cluster: TestCluster;
  let redis: LaiRedis;

  beforeAll(async () => {
    cluster = await startTestCluster();
    redis = await connectRedis(cluster.url, log);
  });
  afterAll(async () => {
    redis?.disconnect();
    await cluster?.stop();
  });
  beforeEach(async () => {
    await Promise.all(serversOf(redis).map((server) => server.flushall()));
  });

  it('all three masters are known, and asked whether they would throw jobs away', async () => {
    expect(serversOf(redis)).toHaveLength(3);
    expect(await checkPolicy(redis)).toBeNull();
    await serversOf(redis)[2]?.config('SET', 'maxmemory-policy', 'allkeys-lru');
    expect(await checkPolicy(redis)).toMatch(/allkeys-lru/);
    await serversOf(redis)[2]?.config('SET', 'maxmemory-policy', 'noeviction');
  });

  it('queues of many targets live on all masters, each with all of its keys on one', async () => {
    const models = Array.from({ length: 12 }, (_, at) => `model-${at}`);
    const queues = models.map((model) => bullQueues(redis).of(target(model)));
    for (const [at, queue] of queues.entries()) {
      const data = { requestId: `r${at}`, origin: 'me', keyId: 'k', target: target(`model-${at}`), deadlineMs: 1 };
      for (const [id, priority] of [
        ['late', 20],
        ['first', 10],
      ] as const)
        await queue.add({ id: `${id}-${at}`, priority, data });
    }
    for (const [at, queue] of queues.entries()) {
      const job = await queue.take('token');
      expect(job?.id).toBe(`first-${at}`);
      if (!job) continue;
      await queue.renew([job]);
      expect(await queue.stateOf(job.id)).toBe('taken');
      await queue.complete(job, { outcome: 'end', nodeId: 'n' });
      await queue.recover();
      await queue.remove(`late-${at}`);
      expect(await queue.count()).toBe(0);
    }
    const sizes = await Promise.all(serversOf(redis).map((server) => server.dbsize()));
    expect(sizes.every((size) => size > 0)).toBe(true);
  });

  it('slots are counted, epochs grow, strikes and loads are agreed on', async () => {
    const leases = redisLeaseStore(redis);
    const slot = (id: string) => ({ id, nodeId: 'n1', model: 'm', epoch: 5, nodeSlots: 1, modelSlots: 1 });
    expect((await leases.claim(slot('a'), 5_000)).kind).toBe('taken');
    expect(await leases.claim(slot('b'), 5_000)).toEqual({ kind: 'full', nodeTaken: 1, modelTaken: 1 });
    await leases.renew(slot('a'), 5_000);
    await leases.release(slot('a'));
    expect((await leases.claim(slot('b'), 5_000)).kind).toBe('taken');
    const first = await redis.nextEpoch('lai:{node:n1}:epoch');
    expect(Number(await redis.nextEpoch('lai:{node:n1}:epoch'))).toBeGreaterThan(Number(first));
    const strikes = redisStrikeStore(redis);
    const strike = (id: string, change: 1 | -1 = 1) => ({ id, fingerprint: 'print', change });
    const counts = [strike('a'), strike('a'), strike('b'), strike('c', -1), strike('c', -1)];
    const told: number[] = [];
    for (const change of counts) told.push(await strikes.add(change, 60_000));
    expect(told).toEqual([1, 1, 2, 1, 1]);
    expect([...(await strikes.all())]).toEqual([['print', 1]]);
    expect(await redisLoadClaims(redis, 'me').claim('m')).toBe(true);
    expect(await redisLoadClaims(redis, 'you').claim('m')).toBe(false);
  });

  it('durable jobs are counted on one master and kept on all of them', async () => {
    const store = new JobStore(redis, payloadCipher(randomBytes(32)), { ...JOB_LIMITS, open: 12 });
    const job = (id: string) => ({
      ...{ id, keyId: 'k', route: 'chat.completions' as const, target: target('m'), priority: 'batch' as const },
      ...{ submittedAtMs: 1, deadlineMs: 1_000, payload: '{}', webhook: null },
    });
    const ids = Array.from({ length: 12 }, (_, at) => `job_${at}`);
    for (const id of ids) expect(await store.submit(job(id))).toBe('new');
    expect(await store.submit(job('job_12'))).toBe('too_many');
    expect((await store.look('0')).ids.toSorted()).toEqual(ids.toSorted());
    for (const id of ids) expect(await store.readOpen(id)).toMatchObject({ id, state: 'queued' });
    const sizes = await Promise.all(serversOf(redis).map((server) => server.dbsize()));
    expect(sizes.every((size) => size > 0)).toBe(true);
  });

  it('replicas see each other and hear each other in order', async () => {
    const heard: number[] = [];
    const [subscriber, other] = [new Subscriber(redis), new Subscriber(redis)];
    const one = new Replicas({ id: 'one', redis, subscriber, log });
    const two = new Replicas({ id: 'two', redis, subscriber: other, log });
    const nothing = { item: () => {}, gone: () => {} };
    await two.start({ ...nothing, item: (_sender, item) => item.kind === 'message' && heard.push(item.message as number) });
    await one.start(nothing);
    await expect.poll(() => [...one.others], { timeout: 10_000 }).toEqual(['two']);
    for (let count = 0; count < 2_000; count += 1) {
      one.send('two', { kind: 'message', message: count });
      if (count % 50 === 0) await pause(1);
    }
    await expect.poll(() => heard.length, { timeout: 20_000 }).toBe(2_000);
    expect(heard).toEqual(heard.toSorted((a, b) => a - b));
    await Promise.all([one.close(), two.close()]);
    subscriber.close();
    other.close();
  });

  it('a master that came back empty is noticed, and everything goes on', { timeout: 60_000 }, async () => {
    let losses = 0;
    const onLost = () => {
      losses += 1;
    };
    const memory = new RedisMemory({ redis, log, onLost });
    await memory.look();
    await memory.look();
    expect(losses).toBe(0);
    await cluster.restart(1);
    // Once for the one that went, once for the one that came.
    await expect.poll(() => losses, { timeout: 30_000 }).toBeGreaterThan(0);
    memory.close();
    expect(isUp(redis)).toBe(true);
    const queues = Array.from({ length: 12 }, (_, at) => bullQueues(redis).of(target(`again-${at}`)));
    for (const queue of queues) {
      const add = () =>
        queue.add({
          id: 'a',
          priority: 1,
          data: { requestId: 'r', origin: 'me', keyId: 'k', target: target('m'), deadlineMs: 1 },
        });
      await expect.poll(() => add().then(() => 'added', String), { timeout: 15_000 }).toBe('added');
      expect((await queue.take('t'))?.id).toBe('a');
    }
  });
});
