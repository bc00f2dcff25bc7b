import { randomBytes, randomUUID } from 'node:crypto';
import type { Frame } from '@lai/shared/attempt';
import { type CodedError, ERRORS, type ErrorCode } from '@lai/shared/errors';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { bullQueues } from '../dispatch/bullmq-queue.ts';
import type { DispatchRequest } from '../dispatch/dispatcher.ts';
import type { JobQueue, JobQueues, TakenJob } from '../dispatch/job-queue.ts';
import type { Grant } from '../dispatch/ticket.ts';
import type { LaiRedis } from '../redis/client.ts';
import { keys } from '../redis/keys.ts';
import { startTestRedis } from '../redis/test-redis.ts';
import { JOB_LIMITS, JobStore } from './job-store.ts';
import { Jobs } from './jobs.ts';
import { payloadCipher } from './payload-cipher.ts';

const target = { model: 'm', capabilities: [], contextTokens: 0 };
const END: Frame = { kind: 'end', usage: null, timings: null, finishReason: 'stop' };
const failed = (code: ErrorCode): Frame => ({ kind: 'failed', code, message: code }) as Frame;

describe('the runs of a durable job', () => {
  let redis: LaiRedis;
  let stop: () => Promise<void>;
  let queue: JobQueue;
  let queues: JobQueues;
  let jobs: Jobs;
  let replicas: Jobs[];
  let nowMs: number;
  let due: { readonly atMs: number; readonly call: () => void }[];
  let released: Grant[];
  /** What the dispatcher makes of a run; settled by the test. */
  let play: (request: DispatchRequest) => AsyncGenerator<Frame, void>;

  beforeAll(async () => {
    ({ redis, stop } = await startTestRedis());
  });
  afterAll(() => stop?.());
  beforeEach(async () => {
    await redis.flushall();
    nowMs = 1_000_000;
    released = [];
    due = [];
    replicas = [];
    queues = bullQueues(redis);
    queue = queues.of(target);
    jobs = replica();
  });
  afterEach(() => {
    for (const each of replicas) each.close();
  });

  const cipher = payloadCipher(randomBytes(32));

  /** No sweep comes by until time passes. */
  const replica = (store = new JobStore(redis, cipher)): Jobs => {
    const made = new Jobs({
      ...{ store, queues, priorityNow: () => 1, hint: () => {}, log: pino({ level: 'silent' }) },
      clock: {
        nowMs: () => nowMs,
        wallMs: () => nowMs,
        after: (ms, call) => {
          const timer = { atMs: nowMs + ms, call };
          due.push(timer);
          return () => void due.splice(due.indexOf(timer), 1);
        },
      },
      answer: (request, job) => ({
        frames: completing(play(request), job),
        trail: { enqueuedAtMs: nowMs, queueMs: 0, attempts: [], isCommitted: false },
        waiting: () => null,
      }),
      bodyFor: (body) => {
        if (body.includes('no longer read')) throw new Error('a body of another time');
        return () => Buffer.from(body);
      },
      collectorFor: () => ({ push: (bytes) => void JSON.parse(Buffer.from(bytes).toString()), finish: () => ({ answer: 42 }) }),
      release: (grant) => void released.push(grant),
      newId,
    });
    replicas.push(made);
    return made;
  };

  const newId = () => `job_${randomUUID().replaceAll('-', '')}`;

  const pass = (ms: number) => {
    nowMs += ms;
    for (const timer of due.filter(({ atMs }) => atMs <= nowMs)) {
      due.splice(due.indexOf(timer), 1);
      timer.call();
    }
  };

  /** As the dispatcher does: the job is off the queue when its request is over. */
  const completing = async function* (frames: AsyncGenerator<Frame, void>, job: TakenJob): AsyncGenerator<Frame, void> {
    yield* frames;
    await queue.complete(job, { outcome: 'end', nodeId: null });
  };

  const submit = ({ body = '{}' } = {}) =>
    jobs.submit({
      ...{ keyId: 'k', route: 'chat.completions', target, body, priority: 'normal', idempotencyKey: null, webhook: null },
      deadlineMs: nowMs + 60_000,
    });

  const grant: Grant = { lease: { id: 'l', nodeId: 'n', epoch: 1, model: 'm' }, nodeName: 'n', model: 'm', placement: null };

  const runNext = async (): Promise<boolean> => {
    const taken = await queue.take(randomUUID());
    if (taken) await jobs.run(taken, grant);
    return taken !== null;
  };

  it.each(['node_lost', 'accept_timeout', 'preempted'] as const)('%s is no result: the job is run again', async (code) => {
    const { id } = await submit();
    const endings = [failed(code), failed(code), END];
    play = async function* () {
      yield endings.shift() ?? END;
    };
    expect([await runNext(), await runNext()]).toEqual([true, true]);
    const waiting = await jobs.read(id, 'k');
    expect(waiting.state).toBe('queued');
    expect(waiting).not.toHaveProperty('startedAtMs');
    await runNext();
    expect(await jobs.read(id, 'k')).toMatchObject({ state: 'completed', result: '{"answer":42}' });
    expect(await runNext()).toBe(false);
  });

  it('what the request itself brought about is a result at once', async () => {
    const { id } = await submit();
    play = async function* () {
      yield failed('request_quarantined');
    };
    await runNext();
    expect(await jobs.read(id, 'k')).toMatchObject({ state: 'failed', errorCode: 'request_quarantined' });
    expect(await runNext()).toBe(false);
  });

  it.each(['engine_unreachable', 'engine_crashed'] as const)(
    '%s is no result either: it waits until the engine is back',
    async (code) => {
      const { id } = await submit();
      play = async function* () {
        yield failed(code);
      };
      await runNext();
      expect((await jobs.read(id, 'k')).state).toBe('queued');
      // The sweep puts it back into line, not we at once.
      expect(await runNext()).toBe(false);
    },
  );

  it('what no engine should say ends the job as such', async () => {
    const { id } = await submit();
    play = async function* () {
      yield { kind: 'chunk', chunk: 'content', bytes: Buffer.from('not JSON') };
      yield END;
    };
    await runNext();
    expect(await jobs.read(id, 'k')).toMatchObject({ state: 'failed', errorCode: 'engine_error' });
  });

  it('a fleet that loses every run ends the job with that code', async () => {
    const { id } = await submit();
    let runs = 0;
    play = async function* () {
      runs += 1;
      yield failed('accept_timeout');
    };
    while (await runNext());
    expect(await jobs.read(id, 'k')).toMatchObject({ state: 'failed', errorCode: 'accept_timeout' });
    expect(runs).toBe(10);
  });

  it('nothing is run again after the deadline', async () => {
    const { id } = await submit();
    play = async function* () {
      nowMs += 60_001;
      yield failed('node_lost');
    };
    await runNext();
    expect(await jobs.read(id, 'k')).toMatchObject({ state: 'failed', errorCode: 'node_lost' });
    expect(await runNext()).toBe(false);
  });

  it('a job that comes back while it is run here is run once', async () => {
    const { id } = await submit();
    const { promise: isTaken, resolve: tellTaken } = Promise.withResolvers<void>();
    const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>();
    let runs = 0;
    play = async function* () {
      runs += 1;
      tellTaken();
      await mayEnd;
      yield END;
    };
    const taken = await queue.take('first');
    if (!taken) throw new Error('no job was queued');
    const first = jobs.run(taken, grant);
    await isTaken;
    const again: Grant = { ...grant, lease: { ...grant.lease, id: 'again' } };
    await jobs.run({ ...taken, token: 'first' }, again);
    expect(released).toEqual([again]);
    end();
    await first;
    expect(runs).toBe(1);
    expect((await jobs.read(id, 'k')).state).toBe('completed');
  });

  /** Recorded and in no queue, as a crash between the two leaves it. */
  const lose = async (count: number): Promise<string[]> => {
    const store = new JobStore(redis, cipher);
    const ids = Array.from({ length: count }, newId);
    await Promise.all(
      ids.map((id) =>
        store.submit({
          ...{ id, keyId: 'k', route: 'chat.completions', target, priority: 'normal', payload: '{}' },
          ...{ submittedAtMs: nowMs, deadlineMs: nowMs + 3_600_000, webhook: null },
        }),
      ),
    );
    return ids;
  };

  it('stops within three seconds when its job is cancelled at another replica', async () => {
    const { id } = await submit();
    const { promise: isTaken, resolve: tellTaken } = Promise.withResolvers<void>();
    play = async function* ({ signal }) {
      tellTaken();
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      yield failed('canceled');
    };
    const run = runNext();
    await isTaken;
    await replica().cancel(id, 'k');
    pass(3_000);
    expect(await run).toBe(true);
    expect((await jobs.read(id, 'k')).state).toBe('canceled');
    expect(await runNext()).toBe(false);
  });

  it('comes for each job that is in no queue, also behind hundreds of others, and needs no key for that', async () => {
    jobs.close();
    const blind = {
      ...cipher,
      open: () => {
        throw new Error('was opened');
      },
    };
    replica(new JobStore(redis, blind));
    const ids = await lose(1_200);
    // As often as it takes to meet them all, and not at once.
    pass(6_000);
    await expect.poll(() => queue.count()).toBeGreaterThan(0);
    expect(await queue.count()).toBeLessThan(ids.length);
    const sweep = () => {
      pass(3_000);
      return queue.count();
    };
    await expect.poll(sweep).toBe(ids.length);
  });

  it('comes for the others when one cannot be read', async () => {
    const ids = await lose(20);
    await redis.hset(keys.job(ids[7] ?? ''), 'target', 'not JSON');
    await redis.del(keys.job(ids[8] ?? ''));
    await redis.set(keys.job(ids[8] ?? ''), 'not a hash');
    pass(6_000);
    await expect.poll(() => queue.count()).toBe(18);
  });

  it('does not come for a job of another key: it has failed, with the reason', async () => {
    const { id } = await submit();
    const other = replica(new JobStore(redis, payloadCipher(randomBytes(32))));
    const taken = await queue.take('other');
    if (!taken) throw new Error('no job was queued');
    await other.run(taken, grant);
    expect(await jobs.read(id, 'k')).toMatchObject({
      ...{ state: 'failed', errorCode: 'job_unreadable', errorMessage: ERRORS.job_unreadable.sentence },
    });
    expect(released).toEqual([grant]);
    expect(await queue.stateOf(taken.id)).toBe('gone');
    pass(6_000);
    expect(await runNext()).toBe(false);
  });

  it('has failed at once when its body is none any more', async () => {
    const { id } = await submit({ body: '{"model":"m","note":"no longer read"}' });
    await runNext();
    expect(await jobs.read(id, 'k')).toMatchObject({ state: 'failed', errorCode: 'internal_error' });
    expect(released).toEqual([grant]);
    pass(6_000);
    expect(await runNext()).toBe(false);
  });

  it('is refused with a sentence and a time when there is no room for another job', async () => {
    jobs = replica(new JobStore(redis, cipher, { ...JOB_LIMITS, open: 1 }));
    await submit();
    const refusal = await submit().catch((error: unknown) => error as CodedError);
    expect(refusal).toMatchObject({ code: 'queue_full', retryAfterSeconds: 30 });
    jobs = replica(new JobStore(redis, cipher, { ...JOB_LIMITS, memoryShare: 0 }));
    await expect(submit()).rejects.toMatchObject({ code: 'queue_full', message: expect.stringContaining('Redis is fuller') });
  });
});
