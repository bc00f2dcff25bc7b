import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { systemClock } from '../dispatch/clock.ts';
import type { Dispatch } from '../dispatch/dispatch.ts';
import type { LaiRedis } from '../redis/client.ts';
import { JobStore, type StoredJob } from './job-store.ts';
import { type Collector, Jobs } from './jobs.ts';
import { payloadCipher } from './payload-cipher.ts';
import { Webhooks } from './webhooks.ts';

/** How bodies and answers are read is the door's business; it is told in here. */
export interface JobsLanguage {
  bodyFor(body: string): (model: string) => Uint8Array;
  collectorFor(body: string): Collector;
  describe(job: StoredJob): unknown;
}

/** Puts the room together on Redis and real time. */
export const startJobs = (options: {
  redis: LaiRedis;
  dispatch: Dispatch;
  payloadKey: Buffer;
  webhookHosts: readonly string[];
  webhookSecret: string | null;
  language: JobsLanguage;
  log: Logger;
}): { readonly jobs: Jobs; readonly webhooks: Webhooks; close(): void } => {
  const { redis, dispatch, language, log } = options;
  const { dispatcher, matching, queues } = dispatch;
  const clock = systemClock;
  const store = new JobStore(redis, payloadCipher(options.payloadKey));
  const jobs = new Jobs({
    ...{ store, queues, clock, log },
    hint: (target) => matching.hint(target),
    priorityNow: (priorityClass) => matching.priorityNow(priorityClass),
    answer: (request, job, grant) => dispatcher.answerGranted(request, job, grant),
    bodyFor: (body) => language.bodyFor(body),
    collectorFor: (body) => language.collectorFor(body),
    release: (grant) => matching.release(grant.lease),
    newId: () => `job_${randomUUID().replaceAll('-', '')}`,
  });
  const webhooks = new Webhooks({
    ...{ redis, store, clock, log },
    hosts: options.webhookHosts,
    secret: options.webhookSecret,
    describe: language.describe,
  });
  return {
    jobs,
    webhooks,
    close: () => {
      jobs.close();
      webhooks.close();
    },
  };
};
