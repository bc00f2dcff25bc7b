import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LaiRedis } from '../redis/client.ts';
import { keys } from '../redis/keys.ts';
import { startTestRedis } from '../redis/test-redis.ts';
import { type LeaseRequest, redisLeaseStore } from './lease-store.ts';

describe('leases in Redis', () => {
  let redis: LaiRedis;
  let stop: () => Promise<void>;

  beforeAll(async () => {
    ({ redis, stop } = await startTestRedis());
  });
  afterAll(() => stop?.());
  beforeEach(() => redis.flushall());

  const lease = (id: string, changes: Partial<LeaseRequest> = {}): LeaseRequest => ({
    ...{ id, nodeId: 'n', model: 'm', epoch: 1, nodeSlots: 8, modelSlots: 5 },
    ...changes,
  });

  it('are given to as many as there are slots, however many ask at once', async () => {
    const store = redisLeaseStore(redis);
    const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => store.claim(lease(`l${index}`), 10_000)));
    expect(answers.filter(({ kind }) => kind === 'taken')).toHaveLength(5);
    expect(answers.filter(({ kind }) => kind === 'full')).toHaveLength(45);
    expect(answers.at(-1)).toMatchObject({ nodeTaken: 5, modelTaken: 5 });
  });

  it('of several models share the slots of the node', async () => {
    const store = redisLeaseStore(redis);
    const ask = (model: string) =>
      Array.from({ length: 5 }, (_, index) => store.claim(lease(`${model}${index}`, { model }), 10_000));
    const answers = await Promise.all([...ask('a'), ...ask('b')]);
    expect(answers.filter(({ kind }) => kind === 'taken')).toHaveLength(8);
  });

  it('claimed twice under one id count once', async () => {
    const store = redisLeaseStore(redis);
    await store.claim(lease('same'), 10_000);
    expect(await store.claim(lease('same'), 10_000)).toEqual({ kind: 'taken', nodeTaken: 1, modelTaken: 1 });
  });

  it('released make room, and releasing again changes nothing', async () => {
    const store = redisLeaseStore(redis);
    const only = { nodeSlots: 1, modelSlots: 1 };
    await store.claim(lease('first', only), 10_000);
    expect((await store.claim(lease('second', only), 10_000)).kind).toBe('full');
    await store.release(lease('first'));
    await store.release(lease('first'));
    expect((await store.claim(lease('second', only), 10_000)).kind).toBe('taken');
  });

  it('that nobody renews end by themselves', async () => {
    const store = redisLeaseStore(redis);
    const only = { nodeSlots: 1, modelSlots: 1 };
    await store.claim(lease('short', only), 50);
    await expect.poll(async () => (await store.claim(lease('next', only), 10_000)).kind, { timeout: 2_000 }).toBe('taken');
  });

  it('renewed live on, also after Redis has forgotten them', async () => {
    const store = redisLeaseStore(redis);
    await store.claim(lease('held'), 10_000);
    await redis.flushall();
    await store.renew(lease('held'), 10_000);
    expect(await redis.zcard(keys.nodeLeases('n', 1))).toBe(1);
    expect(await redis.zcard(keys.modelLeases('n', 1, 'm'))).toBe(1);
  });

  it('for an older connection of the node are refused', async () => {
    const store = redisLeaseStore(redis);
    await redis.set(keys.nodeEpoch('n'), '2');
    expect((await store.claim(lease('late', { epoch: 1 }), 10_000)).kind).toBe('stale');
    expect((await store.claim(lease('new', { epoch: 2 }), 10_000)).kind).toBe('taken');
  });

  it('of a connection that is no more hold no slot of the next one', async () => {
    const store = redisLeaseStore(redis);
    const only = { nodeSlots: 1, modelSlots: 1 };
    await store.claim(lease('of a coordinator that died', { ...only, epoch: 1 }), 10_000);
    await redis.set(keys.nodeEpoch('n'), '2');
    expect((await store.claim(lease('next', { ...only, epoch: 2 }), 10_000)).kind).toBe('taken');
    await store.release(lease('of a coordinator that died', { epoch: 1 }));
    expect((await store.claim(lease('one too many', { ...only, epoch: 2 }), 10_000)).kind).toBe('full');
  });

  it("epochs grow with every connection and are never less than the clock's, also when Redis has forgotten them", async () => {
    const first = Number(await redis.nextEpoch(keys.nodeEpoch('n')));
    const second = Number(await redis.nextEpoch(keys.nodeEpoch('n')));
    await redis.flushall();
    const third = Number(await redis.nextEpoch(keys.nodeEpoch('n')));
    expect(second).toBeGreaterThan(first);
    expect(third).toBeGreaterThanOrEqual(first);
  });

  it('a record of an older connection is refused', async () => {
    const write = (epoch: number) =>
      redis.publishNode(keys.node('n'), keys.nodeEpoch('n'), String(epoch), `{"epoch":${epoch}}`, 10_000);
    const newest = () => redis.get(keys.nodeEpoch('n'));
    expect([await write(5), await newest()]).toEqual([1, '5']);
    await redis.set(keys.nodeEpoch('n'), '6');
    expect([await write(5), await newest()]).toEqual([0, '6']);
    expect([await write(6), await newest()]).toEqual([1, '6']);
    // One that was counted while Redis was away.
    expect([await write(8), await newest()]).toEqual([1, '8']);
    expect([await write(7), await redis.get(keys.node('n'))]).toEqual([0, '{"epoch":8}']);
  });
});
