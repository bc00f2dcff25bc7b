import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LaiRedis } from '../redis/client.ts';
import { startTestRedis } from '../redis/test-redis.ts';
import { bullQueues } from './bullmq-queue.ts';
import type { JobData, JobQueue } from './job-queue.ts';

describe('the queue of a target, on BullMQ', () => {
  let redis: LaiRedis;
  let stop: () => Promise<void>;
  let queue: JobQueue;
  const target = { model: 'm', capabilities: [], contextTokens: 0 };

  beforeAll(async () => {
    ({ redis, stop } = await startTestRedis());
  });
  afterAll(() => stop?.());
  beforeEach(async () => {
    await redis.flushall();
    queue = bullQueues(redis).of(target);
  });

  const data = (requestId: string): JobData => ({ requestId, origin: 'me', keyId: 'k', target, deadlineMs: 1 });
  const add = (id: string, priority = 1) => queue.add({ id, priority, data: data(id) });

  it('gives jobs out by priority, and equal ones as they came', async () => {
    await add('late', 20);
    await add('first', 10);
    await add('second', 10);
    expect([await queue.take('a'), await queue.take('b'), await queue.take('c')].map((job) => job?.id)).toEqual([
      'first',
      'second',
      'late',
    ]);
    expect(await queue.take('d')).toBeNull();
  });

  it('shows who is first without taking anybody', async () => {
    for (const [id, priority] of [
      ['late', 20],
      ['first', 10],
      ['second', 10],
    ] as const)
      await add(id, priority);
    expect(await queue.first(2)).toEqual([
      { id: 'first', data: data('first') },
      { id: 'second', data: data('second') },
    ]);
    expect((await queue.take('a'))?.id).toBe('first');
    expect((await queue.first(20)).map(({ id }) => id)).toEqual(['second', 'late']);
  });

  it('gives each job to one taker only', async () => {
    await Promise.all(Array.from({ length: 20 }, (_, index) => add(`j${index}`)));
    const taken = await Promise.all(Array.from({ length: 40 }, (_, index) => queue.take(`t${index}`)));
    const ids = taken.flatMap((job) => job?.id ?? []);
    expect(ids).toHaveLength(20);
    expect(new Set(ids).size).toBe(20);
  });

  it('takes an id that is there already for what it is', async () => {
    await add('same');
    await add('same');
    expect((await queue.take('a'))?.id).toBe('same');
    expect(await queue.take('b')).toBeNull();
    await add('same');
    expect(await queue.take('c')).toBeNull();
  });

  it('hands over what was put in, and the token under which it is locked', async () => {
    await add('one', 7);
    expect(await queue.take('token')).toEqual({ id: 'one', token: 'token', priority: 7, data: data('one') });
  });

  it('tells where a job is', async () => {
    expect(await queue.stateOf('one')).toBe('gone');
    await add('one');
    expect(await queue.stateOf('one')).toBe('waiting');
    const job = await queue.take('t');
    expect(await queue.stateOf('one')).toBe('taken');
    if (job) await queue.complete(job, { outcome: 'end', nodeId: 'n' });
    expect(await queue.stateOf('one')).toBe('gone');
  });

  it('lets only the holder of the lock finish a job', async () => {
    await add('one');
    await queue.take('mine');
    await expect(queue.complete({ id: 'one', token: 'other' }, { outcome: 'end', nodeId: null })).rejects.toThrow();
    await queue.complete({ id: 'one', token: 'mine' }, { outcome: 'end', nodeId: null });
  });

  it('forgets a job that leaves the line', async () => {
    await add('one');
    await queue.remove('one');
    expect(await queue.take('t')).toBeNull();
    expect(await queue.count()).toBe(0);
  });

  it('puts a job back whose taker has stopped renewing it', async () => {
    await add('one');
    await queue.take('dead');
    // The lock running out, without waiting for it.
    const locks = (await redis.keys('lai:*:lock')) as string[];
    expect(locks).toHaveLength(1);
    await redis.del(...locks);
    await expect
      .poll(
        async () => {
          await queue.recover();
          return queue.stateOf('one');
        },
        { timeout: 15_000, interval: 500 },
      )
      .toBe('waiting');
    expect((await queue.take('alive'))?.id).toBe('one');
  });

  it('keeps a renewed job with its taker', async () => {
    await add('one');
    const job = await queue.take('alive');
    if (job) await queue.renew([job]);
    await queue.recover();
    expect(await queue.stateOf('one')).toBe('taken');
  });
});
