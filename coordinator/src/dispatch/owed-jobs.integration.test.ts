import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LaiRedis } from '../redis/client.ts';
import { startTestRedis } from '../redis/test-redis.ts';
import { bullQueues } from './bullmq-queue.ts';
import type { JobQueue } from './job-queue.ts';
import { OwedJobs } from './owed-jobs.ts';

describe('jobs that nobody waits for any more', () => {
  let redis: LaiRedis;
  let stop: () => Promise<void>;
  let queue: JobQueue;
  const target = { model: 'm', capabilities: [], contextTokens: 0 };
  const outcome = { outcome: 'end', nodeId: 'n' };

  beforeAll(async () => {
    ({ redis, stop } = await startTestRedis());
  });
  afterAll(() => stop?.());
  beforeEach(async () => {
    await redis.flushall();
    queue = bullQueues(redis).of(target);
  });

  const add = (id: string) =>
    queue.add({ id, priority: 1, data: { requestId: id, origin: 'me', keyId: 'k', target, deadlineMs: 1 } });

  it('leave the line that they were added to after all', async () => {
    const owed = new OwedJobs();
    await add('late');
    owed.owe({ queue, jobId: 'late', token: 'never-taken', outcome });
    await owed.settle();
    expect(await queue.stateOf('late')).toBe('gone');
    expect(owed.size).toBe(0);
  });

  it('are finished when they were taken after all', async () => {
    const owed = new OwedJobs();
    await add('taken');
    await queue.take('mine');
    owed.owe({ queue, jobId: 'taken', token: 'mine', outcome });
    await owed.settle();
    expect(await queue.stateOf('taken')).toBe('gone');
    await queue.recover();
    expect(await queue.count()).toBe(0);
  });

  it('stay with whoever has taken them meanwhile', async () => {
    const owed = new OwedJobs();
    await add('theirs');
    await queue.take('theirs');
    owed.owe({ queue, jobId: 'theirs', token: 'mine', outcome });
    await owed.settle();
    expect(await queue.stateOf('theirs')).toBe('taken');
    expect(owed.size).toBe(0);
  });

  it('are remembered for as long as Redis is away', async () => {
    const owed = new OwedJobs();
    let isAway = true;
    const absent: JobQueue = {
      ...asJobQueue(queue),
      remove: (id) => (isAway ? Promise.reject(new Error('away')) : queue.remove(id)),
    };
    await add('one');
    owed.owe({ queue: absent, jobId: 'one', token: null, outcome });
    await owed.settle();
    expect(owed.size).toBe(1);
    isAway = false;
    await owed.settle();
    expect(owed.size).toBe(0);
    expect(await queue.stateOf('one')).toBe('gone');
  });
});

const asJobQueue = (queue: JobQueue): JobQueue => ({
  name: queue.name,
  add: (job) => queue.add(job),
  take: (token) => queue.take(token),
  complete: (job, outcome) => queue.complete(job, outcome),
  remove: (jobId) => queue.remove(jobId),
  stateOf: (jobId) => queue.stateOf(jobId),
  renew: (jobs) => queue.renew(jobs),
  recover: () => queue.recover(),
  first: (most) => queue.first(most),
  count: () => queue.count(),
});
