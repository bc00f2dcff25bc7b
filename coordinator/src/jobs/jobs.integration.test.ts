import { randomBytes, randomUUID } from 'node:crypto';
import type { Frame } from '@lai/shared/attempt';
import type { ErrorCode } from '@lai/shared/errors';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { bullQueues } from '../dispatch/bullmq-queue.ts';
import type { DispatchRequest } from '../dispatch/dispatcher.ts';
import type { JobQueue, TakenJob } from '../dispatch/job-queue.ts';
import type { Grant } from '../dispatch/ticket.ts';
import type { LaiRedis } from '../redis/client.ts';
import { startTestRedis } from '../redis/test-redis.ts';
import { JobStore } from './job-store.ts';
import { Jobs } from './jobs.ts';
import { payloadCipher } from './payload-cipher.ts';

const target = { model: 'm', capabilities: [], contextTokens: 0 };
const END: Frame = { kind: 'end', usage: null, timings: null, finishReason: 'stop' };
const failed = (code: ErrorCode): Frame => ({ kind: 'failed', code, message: code }) as Frame;

describe('the runs of a durable job', () => {
  let redis: LaiRedis;
  let stop: () => Promise<void>;
  let queue: JobQueue;
  let jobs: Jobs;
  let nowMs: number;
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
    const queues = bullQueues(redis);
    queue = queues.of(target);
    jobs = new Jobs({
      priorityNow: () => 1,
      store: new JobStore(redis, payloadCipher(randomBytes(32))),
      ...{ queues, hint: () => {}, log: pino({ level: 'silent' }) },
      // No sweep comes by: what is queued, its run has queued.
      clock: { nowMs: () => nowMs, after: () => () => {} },
      answer: (request, job) => ({
        frames: completing(play(request), job),
        trail: { enqueuedAtMs: nowMs, queueMs: 0, attempts: [], isCommitted: false },
        waiting: () => null,
      }),
      bodyFor: (body) => () => Buffer.from(body),
      collectorFor: () => ({ push: (bytes) => void JSON.parse(Buffer.from(bytes).toString()), finish: () => ({ answer: 42 }) }),
      release: (grant) => void released.push(grant),
      newId: () => `job_${randomUUID().replaceAll('-', '')}`,
    });
  });
  afterEach(() => jobs.close());

  /** As the dispatcher does: the job is off the queue when its request is over. */
  const completing = async function* (frames: AsyncGenerator<Frame, void>, job: TakenJob): AsyncGenerator<Frame, void> {
    yield* frames;
    await queue.complete(job, { outcome: 'end', nodeId: null });
  };

  const submit = () =>
    jobs.submit({
      ...{ keyId: 'k', route: 'chat.completions', target, body: '{}', priority: 'normal', idempotencyKey: null, webhook: null },
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
});
