import type { JobQueue, JobQueues } from '../../../coordinator/src/dispatch/job-queue.ts';
import type { QueueData, QueuedJob, RedisData } from './data.ts';
import type { RedisConnection } from './redis.ts';

/** As dispatch/bullmq-queue.ts sets them. */
const LOCK_MS = 10_000;
const STALL_CHECK_MS = 3_000;
const KEEP_FINISHED_MS = 60_000;

/** What BullMQ does with our settings: priority, then arrival; a lock per taken job; finished jobs kept for a while. */
export const simulatedQueues = (redis: RedisConnection): JobQueues => {
  const queues = new Map<string, JobQueue>();
  return {
    of: (target) => {
      const name = JSON.stringify(target);
      const queue = queues.get(name) ?? queueOf(redis, name);
      queues.set(name, queue);
      return queue;
    },
  };
};

const queueOf = (redis: RedisConnection, name: string): JobQueue => ({
  name,
  add: ({ id, data, priority }) =>
    redis.ask((all, nowMs) => {
      const queue = dataOf(all, name);
      forgetFinished(queue, nowMs);
      if (queue.jobs.has(id)) return;
      queue.order += 1;
      queue.jobs.set(id, { ...{ id, data, priority, order: queue.order }, ...waiting, doneAtMs: 0 });
    }),
  take: (token) =>
    redis.ask((all, nowMs) => {
      const job = firstOf(dataOf(all, name));
      if (!job) return null;
      Object.assign(job, { state: 'taken', token, lockedUntilMs: nowMs + LOCK_MS, isSuspect: false });
      return { id: job.id, token, data: job.data, priority: job.priority };
    }),
  complete: ({ id, token }) =>
    redis.ask((all, nowMs) => {
      const job = dataOf(all, name).jobs.get(id);
      if (job?.state !== 'taken' || job.token !== token || job.lockedUntilMs <= nowMs) throw new Error('missing lock for job');
      Object.assign(job, { state: 'done', token: null, doneAtMs: nowMs });
    }),
  remove: (id) =>
    redis.ask((all, nowMs) => {
      const { jobs } = dataOf(all, name);
      const job = jobs.get(id);
      if (job?.state !== 'taken' || job.lockedUntilMs <= nowMs) jobs.delete(id);
    }),
  stateOf: (id) =>
    redis.ask((all) => {
      const state = dataOf(all, name).jobs.get(id)?.state;
      return state === 'waiting' || state === 'taken' ? state : 'gone';
    }),
  renew: (jobs) =>
    redis.ask((all, nowMs) => {
      for (const { id, token } of jobs) {
        const job = dataOf(all, name).jobs.get(id);
        if (job?.token !== token || job.lockedUntilMs <= nowMs) continue;
        Object.assign(job, { lockedUntilMs: nowMs + LOCK_MS, isSuspect: false });
      }
    }),
  recover: () =>
    redis.ask((all, nowMs) => {
      const queue = dataOf(all, name);
      if (nowMs < queue.nextStallCheckAtMs) return;
      queue.nextStallCheckAtMs = nowMs + STALL_CHECK_MS;
      for (const job of queue.jobs.values()) {
        if (job.state !== 'taken') continue;
        const isLost = job.isSuspect && job.lockedUntilMs <= nowMs;
        // Before everybody: it was first once.
        Object.assign(job, isLost ? { ...waiting, order: job.order - 1_000_000 } : { isSuspect: true });
      }
    }),
  first: (most) =>
    redis.ask((all) => {
      const waiting = [...dataOf(all, name).jobs.values()].filter(({ state }) => state === 'waiting');
      return waiting
        .sort((a, b) => rankOf(a) - rankOf(b) || a.order - b.order)
        .slice(0, most)
        .map(({ id, data }) => ({ id, data }));
    }),
  count: () => redis.ask((all) => [...dataOf(all, name).jobs.values()].filter(({ state }) => state === 'waiting').length),
});

const waiting = { state: 'waiting', token: null, lockedUntilMs: 0, isSuspect: false } as const;

const dataOf = (data: RedisData, name: string): QueueData => {
  const queue = data.queues.get(name) ?? { jobs: new Map(), order: 0, nextStallCheckAtMs: 0 };
  data.queues.set(name, queue);
  return queue;
};

/** Recovered jobs have been taken off the priorities: they come first. */
const firstOf = ({ jobs }: QueueData): QueuedJob | null => {
  let first: QueuedJob | null = null;
  for (const job of jobs.values()) {
    if (job.state !== 'waiting') continue;
    if (!first || rankOf(job) < rankOf(first) || (rankOf(job) === rankOf(first) && job.order < first.order)) first = job;
  }
  return first;
};

const rankOf = (job: QueuedJob): number => (job.order < 0 ? 0 : job.priority);

const forgetFinished = ({ jobs }: QueueData, nowMs: number): void => {
  for (const job of jobs.values()) if (job.state === 'done' && nowMs - job.doneAtMs > KEEP_FINISHED_MS) jobs.delete(job.id);
};
