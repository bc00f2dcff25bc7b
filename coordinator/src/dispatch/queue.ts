import { createHash } from 'node:crypto';
import { type BackendFactory, type Job, Queue, QueueKeys, RedisConnection, RedisQueueBackend, Worker } from 'bullmq';
import type { LaiRedis } from '../redis/client.ts';
import { QUEUE_PREFIX, queueName } from '../redis/keys.ts';
import type { Target } from '../routing/target.ts';

/** Identifiers and requirements only: a prompt never enters Redis. */
export interface JobData {
  readonly requestId: string;
  readonly keyId: string;
  readonly target: Target;
  readonly deadlineMs: number;
}

export type TakenJob = Job<JobData, JobOutcome>;

/** What is kept of a finished job, for a minute. */
export interface JobOutcome {
  readonly outcome: string;
  readonly nodeId: string | null;
}

const LOCK_MS = 30_000;
const KEEP_FINISHED = { age: 60, count: 100 };

/**
 * The queue of one target. BullMQ holds the order; nobody blocks on it: whoever has a free slot takes (`take` never waits).
 */
export class TargetQueue {
  readonly name: string;
  readonly #queue: Queue<JobData, JobOutcome, 'attempt'>;
  readonly #taker: Worker<JobData, JobOutcome, 'attempt'>;

  constructor(name: string, connection: LaiRedis, backend: BackendFactory) {
    this.name = name;
    const shared = { connection, prefix: QUEUE_PREFIX };
    this.#queue = new Queue(name, { ...shared, streams: { events: { maxLen: 100 } } }, backend as never);
    this.#taker = new Worker(
      name,
      null,
      { ...shared, autorun: false, lockDuration: LOCK_MS, skipStalledCheck: true },
      backend as never,
    );
    this.#queue.on('error', () => {});
    this.#taker.on('error', () => {});
  }

  /** Adding an id that is there already changes nothing, so a caller that does not know whether its add arrived adds again. */
  async add(jobId: string, data: JobData, priority: number): Promise<void> {
    await this.#queue.add('attempt', data, {
      jobId,
      priority,
      attempts: 1,
      removeOnComplete: KEEP_FINISHED,
      removeOnFail: KEEP_FINISHED,
      stackTraceLimit: 0,
    });
  }

  /** The first job in line, locked for `token`, or undefined when nobody waits. */
  async take(token: string): Promise<TakenJob | undefined> {
    return (await this.#taker.getNextJob(token, { block: false })) as TakenJob | undefined;
  }

  /** Is the job still in line? False when it was taken, is over, or Redis has forgotten it. */
  async isInLine(jobId: string): Promise<boolean> {
    const state = await this.#queue.getJobState(jobId);
    return state === 'prioritized' || state === 'waiting' || state === 'delayed';
  }

  async complete(job: TakenJob, token: string, outcome: JobOutcome): Promise<void> {
    await job.moveToCompleted(outcome, token, false);
  }

  /** Takes a waiting job out of the line. A job that somebody has taken stays. */
  async remove(jobId: string): Promise<void> {
    await this.#queue.remove(jobId);
  }

  async renew(jobs: readonly { readonly id: string; readonly token: string }[]): Promise<void> {
    await this.#taker.extendJobLocks(
      jobs.map((job) => job.id),
      jobs.map((job) => job.token),
      LOCK_MS,
    );
  }
}

/** Queues by target, made when first used. All share one connection: a Worker of BullMQ's own would bring two more each. */
export class TargetQueues {
  readonly #redis: LaiRedis;
  readonly #backend: BackendFactory;
  readonly #queues = new Map<string, TargetQueue>();

  constructor(redis: LaiRedis) {
    this.#redis = redis;
    const connection = new RedisConnection(redis, { shared: true, blocking: false, skipVersionCheck: true });
    connection.on('error', () => {});
    this.#backend = ((name: string, options: ConstructorParameters<typeof RedisQueueBackend>[4]) => {
      const queueKeys = new QueueKeys(QUEUE_PREFIX);
      return new RedisQueueBackend(
        connection,
        name,
        queueKeys.getKeys(name),
        (type) => queueKeys.toKey(name, type),
        options,
        undefined,
        false,
      );
    }) as BackendFactory;
  }

  of(target: Target): TargetQueue {
    const name = queueName(createHash('sha256').update(JSON.stringify(target)).digest('hex').slice(0, 16));
    const known = this.#queues.get(name);
    if (known) return known;
    const queue = new TargetQueue(name, this.#redis, this.#backend);
    this.#queues.set(name, queue);
    return queue;
  }
}
