import { createHash, randomBytes } from 'node:crypto';
import { ERRORS } from '@lai/shared/errors';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LaiRedis } from '../redis/client.ts';
import { keys } from '../redis/keys.ts';
import { startTestRedis } from '../redis/test-redis.ts';
import { JOB_LIMITS, JobStore, type NewJob } from './job-store.ts';
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
    payload: '{"messages":[{"role":"user","content":"canary-4711"}]}',
    webhook: null,
  };
  const completed = { state: 'completed', result: '{"answer":"canary-4712"}', usage: null, nodeName: 'node' } as const;

  const openJobs = async () => (await store.look('0')).ids;

  const start = async (): Promise<number> => {
    const fence = await store.start(job.id, 2_000);
    if (fence === null) throw new Error('the job did not start');
    return fence;
  };

  it('are kept as they were submitted', async () => {
    expect(await store.submit(job)).toBe('new');
    const { webhook: _none, payload, ...kept } = job;
    expect(await store.read(job.id)).toMatchObject({ ...kept, state: 'queued', fence: 0, result: null });
    expect(await store.readPayload(job)).toEqual({ kind: 'read', text: payload });
    expect(await openJobs()).toEqual([job.id]);
  });

  it('submitted again are the same job, and another body under the same id is told apart', async () => {
    await store.submit(job);
    expect(await store.submit(job)).toBe('known');
    expect(await store.submit({ ...job, payload: '{}' })).toBe('different');
  });

  it('stay open when a run ends that was overtaken, for the one that has them now', async () => {
    await store.submit(job);
    const [first, second] = [await start(), await start()];
    const { id, keyId } = job;
    expect(await store.finish({ id, keyId }, first, completed, 3_000)).toBe(false);
    expect(await openJobs()).toEqual([job.id]);
    expect(await store.finish({ id, keyId }, second, completed, 3_000)).toBe(true);
    expect(await openJobs()).toEqual([]);
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
    expect(await store.finish(job, first, completed, 3_000)).toBe(false);
    expect(await store.finish(job, second, completed, 3_001)).toBe(true);
    expect(await store.finish(job, second, completed, 3_002)).toBe(false);
    expect(await store.read(job.id)).toMatchObject({
      state: 'completed',
      result: completed.result,
      finishedAtMs: 3_001,
      nodeName: 'node',
    });
    expect(await openJobs()).toEqual([]);
  });

  it('wait again after a run without a result, which may still bring one until the next begins', async () => {
    await store.submit(job);
    const first = await start();
    expect(await store.requeue(job.id, first)).toBe(true);
    expect(await store.read(job.id)).not.toHaveProperty('startedAtMs');
    const second = await start();
    expect(await store.requeue(job.id, first)).toBe(false);
    expect(await store.requeue(job.id, second)).toBe(true);
    expect(await store.finish(job, first, completed, 3_000)).toBe(false);
    expect(await store.finish(job, second, completed, 3_000)).toBe(true);
    expect(await store.requeue(job.id, second)).toBe(false);
  });

  it('that were cancelled neither start nor end', async () => {
    await store.submit(job);
    const fence = await start();
    expect(await store.cancel(job.id, 4_000)).toBe('running');
    expect(await store.finish(job, fence, completed, 5_000)).toBe(false);
    expect(await store.start(job.id, 6_000)).toBeNull();
    expect(await store.read(job.id)).toMatchObject({ state: 'canceled' });
    expect(await store.readPayload(job)).toEqual({ kind: 'gone' });
    expect(await store.cancel('job_none', 1)).toBeNull();
  });

  it('say nothing to who can read Redis, whether they wait, succeeded or failed', async () => {
    await store.submit({ ...job, webhook: 'https://hooks.example/canary-4714' });
    // Whoever guesses a prompt must not be able to see that the guess is right.
    const guess = createHash('sha256').update(`${job.route}\n${job.payload}`).digest();
    const [digest] = await redis.hmget(keys.job(job.id), 'bodyHash');
    expect(['hex', 'base64', 'base64url'].map((form) => guess.toString(form as BufferEncoding))).not.toContain(digest);
    await store.finish(job, await start(), completed, 3_000);
    expect((await store.read(job.id))?.webhook).toBe('https://hooks.example/canary-4714');
    const bad = { ...job, id: 'job_2' };
    await store.submit(bad);
    const refused = { state: 'failed', errorCode: 'request_refused', errorMessage: 'No tool is called canary-4713.' } as const;
    await store.finish(bad, (await store.start(bad.id, 2_000)) ?? 0, refused, 3_000);
    expect(await store.read(bad.id)).toMatchObject(refused);
    await store.submit({ ...job, id: 'job_3' });
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
    expect(await store.readPayload({ ...job, id: 'job_2' })).toEqual({ kind: 'unreadable' });
  });

  it('whose key is another one now say so, and are whole again when it is back', async () => {
    await store.submit(job);
    const other = new JobStore(redis, payloadCipher(randomBytes(32)));
    expect(await other.readPayload(job)).toEqual({ kind: 'unreadable' });
    await store.finish(job, await start(), completed, 3_000);
    expect(await other.read(job.id)).toMatchObject({ state: 'failed', errorCode: 'job_unreadable', result: null });
    expect(await store.read(job.id)).toMatchObject({ state: 'completed', result: completed.result });
  });

  it('that failed are told by the words for their code when their own cannot be read', async () => {
    await store.submit(job);
    const error = { state: 'failed', errorCode: 'engine_error', errorMessage: 'Own words.' } as const;
    await store.finish(job, await start(), error, 3_000);
    const other = new JobStore(redis, payloadCipher(randomBytes(32)));
    expect(await other.read(job.id)).toMatchObject({ ...error, errorMessage: ERRORS.engine_error.sentence });
  });

  describe('are bounded', () => {
    const another = (number: number): NewJob => ({ ...job, id: `job_${number}` });
    const setMemory = (bytes: number) => redis.config('SET', 'maxmemory', String(bytes));
    const usedMemory = async () => Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]);

    afterEach(() => setMemory(2 ** 30));

    it('in number, however many come at once; one that is known already is told all the same', async () => {
      store = new JobStore(redis, payloadCipher(randomBytes(32)), { ...JOB_LIMITS, open: 10 });
      const answers = await Promise.all(Array.from({ length: 40 }, (_, number) => store.submit(another(number))));
      expect(answers.filter((answer) => answer === 'new')).toHaveLength(10);
      expect(answers.filter((answer) => answer === 'too_many')).toHaveLength(30);
      expect(await openJobs()).toHaveLength(10);
      expect(await redis.keys('*job_*')).toHaveLength(10);
      const known = another(answers.indexOf('new'));
      expect(await store.submit(known)).toBe('known');
      expect(await store.submit({ ...known, payload: '{}' })).toBe('different');
      // One that ends makes room for one.
      await store.cancel(known.id, 2_000);
      expect(await store.submit(another(100))).toBe('new');
      expect(await store.submit(another(101))).toBe('too_many');
      // Asked about again, an ended one takes no place.
      await store.cancel('job_100', 2_000);
      expect(await store.submit(known)).toBe('known');
      expect(await store.submit(another(102))).toBe('new');
    });

    it('by key, in number and in bytes, and others are accepted; ended ones make room', async () => {
      const limits = { ...JOB_LIMITS, openOfKey: 5, bytesOfKey: 1_000 };
      store = new JobStore(redis, payloadCipher(randomBytes(32)), limits);
      const answers = await Promise.all(Array.from({ length: 20 }, (_, number) => store.submit(another(number))));
      expect(answers.filter((answer) => answer === 'new')).toHaveLength(5);
      expect(answers.filter((answer) => answer === 'too_many_of_key')).toHaveLength(15);
      expect(await store.submit({ ...another(50), keyId: 'key_2' })).toBe('new');
      const accepted = answers.flatMap((answer, number) => (answer === 'new' ? [another(number)] : []));
      expect(await store.submit(accepted[0] ?? job)).toBe('known');
      for (const { id } of accepted) await store.cancel(id, 2_000);
      const large = (number: number): NewJob => ({ ...another(number), payload: 'x'.repeat(400) });
      expect(await store.submit(large(60))).toBe('new');
      expect(await store.submit(large(61))).toBe('new');
      expect(await store.submit(large(62))).toBe('too_many_of_key');
      await store.cancel('job_60', 2_000);
      expect(await store.submit(large(62))).toBe('new');
    });

    it("by Redis's memory, and what was accepted still ends with its result", async () => {
      await store.submit(job);
      const fence = await start();
      await setMemory(Math.round((await usedMemory()) / 0.75));
      const filler = 'x'.repeat(20_000);
      const answers: string[] = [];
      for (let number = 2; answers.at(-1) !== 'no_memory' && number < 100; number += 1)
        answers.push(await store.submit({ ...another(number), payload: filler }));
      expect(answers.slice(0, -1).every((answer) => answer === 'new')).toBe(true);
      expect(answers.at(-1)).toBe('no_memory');
      // A refused one leaves nothing behind.
      expect(await openJobs()).toHaveLength(answers.length);
      expect(await store.submit(job)).toBe('known');
      expect(await store.finish(job, fence, { ...completed, result: filler }, 3_000)).toBe(true);
    });

    it('when Redis itself takes no more', async () => {
      await store.submit(job);
      await setMemory(2 ** 19);
      expect(await store.submit(another(2))).toBe('no_memory');
      expect(await store.submit(job)).toBe('known');
      await setMemory(2 ** 30);
      expect(await store.submit(another(2))).toBe('new');
    });

    it('by half of the machine where Redis has no bound of its own', async () => {
      await setMemory(0);
      expect(await store.submit(job)).toBe('new');
      store = new JobStore(redis, payloadCipher(randomBytes(32)), { ...JOB_LIMITS, memoryShare: 0 });
      expect(await store.submit(another(2))).toBe('no_memory');
    });
  });

  it('are all met in a lap, however many there are', async () => {
    const all = Array.from({ length: 1_000 }, (_, number) => `job_${number}`);
    await redis.zadd(keys.openJobs, ...all.flatMap((id, at) => [at, id]));
    const met = new Set<string>();
    let looks = 0;
    for (let cursor = '0'; looks === 0 || cursor !== '0'; looks += 1) {
      const { ids, next } = await store.look(cursor);
      for (const id of ids) met.add(id);
      cursor = next;
    }
    expect(met.size).toBe(1_000);
    expect(looks).toBeGreaterThan(5);
  });

  it('are forgotten when they are not there, and listed again when they came meanwhile', async () => {
    await redis.zadd(keys.openJobs, 1, 'job_none');
    await store.submit(job);
    await store.forget('job_none');
    await store.forget(job.id);
    expect(await openJobs()).toEqual([job.id]);
  });
});
