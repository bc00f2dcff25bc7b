import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LaiRedis } from '../redis/client.ts';
import { keys } from '../redis/keys.ts';
import { startTestRedis } from '../redis/test-redis.ts';
import { JobStore, type NewJob } from './job-store.ts';
import { payloadCipher } from './payload-cipher.ts';

describe('durable jobs in Redis', () => {
  let redis: LaiRedis;
  let stop: () => Promise<void>;
  let store: JobStore;

  beforeAll(async () => {
    ({ redis, stop } = await startTestRedis());
  });
  afterAll(() => stop?.());
  beforeEach(async () => {
    await redis.flushall();
    store = new JobStore(redis, payloadCipher(randomBytes(32)));
  });

  const job: NewJob = {
    id: 'job_1',
    keyId: 'key_1',
    route: 'chat.completions',
    target: { model: 'm', capabilities: ['chat'], contextTokens: 0 },
    priority: 'batch',
    submittedAtMs: 1_000,
    deadlineMs: 9_000,
    bodyHash: 'hash',
    payload: '{"messages":[{"role":"user","content":"canary-4711"}]}',
    webhook: null,
  };
  const completed = { state: 'completed', result: '{"answer":"canary-4712"}', usage: null, nodeName: 'node' } as const;

  const start = async (): Promise<number> => {
    const fence = await store.start(job.id, 2_000);
    if (fence === null) throw new Error('the job did not start');
    return fence;
  };

  it('are kept as they were submitted', async () => {
    expect(await store.submit(job)).toBe('new');
    const { webhook: _none, ...kept } = job;
    expect(await store.read(job.id)).toMatchObject({ ...kept, state: 'queued', fence: 0, result: null });
    expect(await store.open(10)).toEqual([job.id]);
  });

  it('submitted again are the same job, and another body under the same id is told apart', async () => {
    await store.submit(job);
    expect(await store.submit(job)).toBe('known');
    expect(await store.submit({ ...job, bodyHash: 'other' })).toBe('different');
  });

  it('stay open when a run ends that was overtaken, for the one that has them now', async () => {
    await store.submit(job);
    const [first, second] = [await start(), await start()];
    const { id, keyId } = job;
    expect(await store.finish({ id, keyId }, first, completed, 3_000)).toBe(false);
    expect(await store.open(10)).toEqual([job.id]);
    expect(await store.finish({ id, keyId }, second, completed, 3_000)).toBe(true);
    expect(await store.open(10)).toEqual([]);
  });

  it('submitted by many at once are one job', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => store.submit(job)));
    expect(answers.filter((answer) => answer === 'new')).toHaveLength(1);
  });

  it('end once: a run that was overtaken records nothing', async () => {
    await store.submit(job);
    const first = await start();
    const second = await start();
    expect(second).toBe(first + 1);
    expect(await store.finish(job as never, first, completed, 3_000)).toBe(false);
    expect(await store.finish(job as never, second, completed, 3_001)).toBe(true);
    expect(await store.finish(job as never, second, completed, 3_002)).toBe(false);
    expect(await store.read(job.id)).toMatchObject({
      state: 'completed',
      result: completed.result,
      finishedAtMs: 3_001,
      nodeName: 'node',
    });
    expect(await store.open(10)).toEqual([]);
  });

  it('wait again after a run without a result, which may still bring one until the next begins', async () => {
    await store.submit(job);
    const first = await start();
    expect(await store.requeue(job.id, first)).toBe(true);
    expect(await store.read(job.id)).not.toHaveProperty('startedAtMs');
    const second = await start();
    expect(await store.requeue(job.id, first)).toBe(false);
    expect(await store.requeue(job.id, second)).toBe(true);
    expect(await store.finish(job as never, first, completed, 3_000)).toBe(false);
    expect(await store.finish(job as never, second, completed, 3_000)).toBe(true);
    expect(await store.requeue(job.id, second)).toBe(false);
  });

  it('that were cancelled neither start nor end', async () => {
    await store.submit(job);
    const fence = await start();
    expect(await store.cancel(job.id, 4_000)).toBe('running');
    expect(await store.finish(job as never, fence, completed, 5_000)).toBe(false);
    expect(await store.start(job.id, 6_000)).toBeNull();
    expect(await store.read(job.id)).toMatchObject({ state: 'canceled', payload: null });
    expect(await store.cancel('job_none', 1)).toBeNull();
  });

  it('say nothing to who can read Redis', async () => {
    await store.submit(job);
    await store.finish(job as never, await start(), completed, 3_000);
    const everything = await Promise.all(
      (await redis.keys('*')).map(async (key) => JSON.stringify([key, await redis.dump(key)])),
    );
    expect(everything.join()).not.toMatch(/canary/);
  });

  it('whose payload was moved to another job do not open', async () => {
    await store.submit(job);
    await store.submit({ ...job, id: 'job_2', payload: '{}' });
    const sealed = await redis.hget(keys.job('job_1'), 'payload');
    await redis.hset(keys.job('job_2'), 'payload', sealed ?? '');
    await expect(store.read('job_2')).rejects.toThrow();
  });
});
