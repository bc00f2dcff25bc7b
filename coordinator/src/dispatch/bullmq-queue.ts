import { createHash } from 'node:crypto';
import { type BackendFactory, Job, Queue, QueueKeys, RedisConnection, RedisQueueBackend, Worker } from 'bullmq';
import type { LaiRedis } from '../redis/client.ts';
import { QUEUE_PREFIX, queueName } from '../redis/keys.ts';
import type { Target } from '../routing/target.ts';
import type { JobData, JobOutcome, JobQueue, JobQueues, NewJob, TakenJob } from './job-queue.ts';

/** A taker that does not renew its lock for this long is dead; its job is in line again within two checks. */
const LOCK_MS = 10_000;
const STALL_CHECK_MS = 3_000;
const KEEP_FINISHED = { age: 60, count: 100 };
/** A queue nobody has used for this long is closed here; Redis keeps what waits in it. */
const IDLE_MS = 10 * 60_000;
/** Each takes about 36 KB of heap. Beyond, those that were used longest ago are made anew when they are needed. */
const MOST_QUEUES = 256;

class BullQueue implements JobQueue {
  readonly name: string;
  readonly #queue: Queue<JobData, JobOutcome, 'attempt'>;
  readonly #taker: Worker<JobData, JobOutcome, 'attempt'>;

  constructor(name: string, connection: LaiRedis, backend: BackendFactory) {
    this.name = name;
    const shared = { connection, prefix: QUEUE_PREFIX };
    this.#queue = new Queue(name, { ...shared, streams: { events: { maxLen: 100 } } }, backend as never);
    // A Worker that never runs: only its takes are used, so that nothing blocks and no processor is bound to a slot.
    this.#taker = new Worker(
      name,
      null,
      { ...shared, autorun: false, lockDuration: LOCK_MS, stalledInterval: STALL_CHECK_MS, maxStalledCount: 100 },
      backend as never,
    );
    this.#queue.on('error', () => {});
    this.#taker.on('error', () => {});
  }

  async add({ id, data, priority }: NewJob): Promise<void> {
    await this.#queue.add('attempt', data, {
      jobId: id,
      priority,
      attempts: 1,
      removeOnComplete: KEEP_FINISHED,
      removeOnFail: KEEP_FINISHED,
      stackTraceLimit: 0,
    });
  }

  async take(token: string): Promise<TakenJob | null> {
    const job = await this.#taker.getNextJob(token, { block: false });
    return job?.id ? { id: job.id, token, data: job.data, priority: job.opts.priority ?? 0 } : null;
  }

  async complete({ id, token }: Pick<TakenJob, 'id' | 'token'>, outcome: JobOutcome): Promise<void> {
    // The job's data is not needed to finish it, so it is not read again.
    const job = new Job(this.#queue as never, 'attempt', {}, { removeOnComplete: KEEP_FINISHED, attempts: 1 }, id);
    await job.moveToCompleted(outcome, token, false);
  }

  async remove(jobId: string): Promise<void> {
    await this.#queue.remove(jobId);
  }

  async stateOf(jobId: string): Promise<'waiting' | 'taken' | 'gone'> {
    const state = await this.#queue.getJobState(jobId);
    if (state === 'prioritized' || state === 'waiting' || state === 'delayed') return 'waiting';
    return state === 'active' ? 'taken' : 'gone';
  }

  async recover(): Promise<void> {
    await this.#taker.getBackend().moveStalledJobsToWait();
  }

  async renew(jobs: readonly Pick<TakenJob, 'id' | 'token'>[]): Promise<void> {
    await this.#taker.extendJobLocks(
      jobs.map((job) => job.id),
      jobs.map((job) => job.token),
      LOCK_MS,
    );
  }

  async first(most: number): Promise<readonly Pick<TakenJob, 'id' | 'data'>[]> {
    const jobs = await this.#queue.getJobs(['waiting', 'prioritized'], 0, most - 1, true);
    return jobs.slice(0, most).flatMap((job) => (job?.id ? [{ id: job.id, data: job.data }] : []));
  }

  async count(): Promise<number> {
    return this.#queue.count();
  }
}

/** Queues by target, made when first used. All share one connection: a Worker of BullMQ's own would bring two more each. */
export const bullQueues = (redis: LaiRedis): JobQueues => {
  const connection = new RedisConnection(redis, { shared: true, blocking: false, skipVersionCheck: true });
  connection.on('error', () => {});
  const backend = ((name: string, options: ConstructorParameters<typeof RedisQueueBackend>[4]) => {
    const queueKeys = new QueueKeys(QUEUE_PREFIX);
    const toKey = (type: string) => queueKeys.toKey(name, type);
    return new RedisQueueBackend(connection, name, queueKeys.getKeys(name), toKey, options, undefined, false);
  }) as BackendFactory;
  const queues = new Map<string, { readonly queue: JobQueue; usedAtMs: number }>();

  const forgetIdle = (nowMs: number) => {
    for (const [name, { usedAtMs }] of queues) {
      if (nowMs - usedAtMs <= IDLE_MS) return;
      queues.delete(name);
    }
  };

  return {
    of: (target) => {
      const name = nameOf(target);
      const nowMs = performance.now();
      const known = queues.get(name);
      if (known) {
        known.usedAtMs = nowMs;
        // Used last is last.
        queues.delete(name);
        queues.set(name, known);
        return known.queue;
      }
      forgetIdle(nowMs);
      const queue = new BullQueue(name, redis, backend);
      queues.set(name, { queue, usedAtMs: nowMs });
      const [oldest] = queues.keys();
      if (queues.size > MOST_QUEUES && oldest !== undefined) queues.delete(oldest);
      return queue;
    },
  };
};

/** Client input stays out of key names: the target is hashed. Equal targets have one queue, whatever the order of their fields. */
const nameOf = ({ model, capabilities, contextTokens, ...where }: Target): string => {
  const fields = Object.entries(where).sort(([a], [b]) => (a < b ? -1 : 1));
  const text = JSON.stringify({ model, capabilities, contextTokens, ...Object.fromEntries(fields) });
  return queueName(createHash('sha256').update(text).digest('hex').slice(0, 16));
};
