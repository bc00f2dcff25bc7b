import { AttemptRoute, FailureCode, Usage } from '@lai/shared/attempt';
import { z } from 'zod';
import { isUp, type LaiRedis } from '../redis/client.ts';
import { keys } from '../redis/keys.ts';
import { Target } from '../routing/target.ts';
import type { PayloadCipher } from './payload-cipher.ts';

/** How long a job is kept after it was submitted, and again after it ended; also how long its idempotency key holds. */
const KEEP_SECONDS = 24 * 3_600;

export const JobState = z.enum(['queued', 'running', 'completed', 'failed', 'canceled']);
export type JobState = z.infer<typeof JobState>;

const json = <T>(schema: z.ZodType<T>) =>
  z.string().transform((text, context) => {
    const parsed = schema.safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data;
    context.addIssue({ code: 'custom', message: parsed.error.message });
    return z.NEVER;
  });
const ms = z.coerce.number();

/** The hash in Redis. `payload` and `result` are sealed. */
const JobHash = z.object({
  state: JobState,
  fence: z.coerce.number(),
  bodyHash: z.string(),
  keyId: z.string(),
  route: AttemptRoute,
  target: json(Target),
  priority: z.enum(['interactive', 'normal', 'batch']),
  submittedAtMs: ms,
  deadlineMs: ms,
  startedAtMs: ms.optional(),
  finishedAtMs: ms.optional(),
  payload: z.string().optional(),
  result: z.string().optional(),
  usage: json(Usage.nullable()).optional(),
  nodeName: z.string().optional(),
  errorCode: FailureCode.optional(),
  errorMessage: z.string().optional(),
  webhook: z.string().optional(),
});

export type StoredJob = Readonly<Omit<z.infer<typeof JobHash>, 'payload' | 'result'>> & {
  readonly id: string;
  /** The request body; gone once the job has ended. */
  readonly payload: string | null;
  /** The answer, JSON text. */
  readonly result: string | null;
};

export interface NewJob {
  readonly id: string;
  readonly keyId: string;
  readonly route: z.infer<typeof AttemptRoute>;
  readonly target: Target;
  readonly priority: 'interactive' | 'normal' | 'batch';
  readonly submittedAtMs: number;
  readonly deadlineMs: number;
  readonly bodyHash: string;
  readonly payload: string;
  readonly webhook: string | null;
}

export type JobEnd =
  | { readonly state: 'completed'; readonly result: string; readonly usage: Usage | null; readonly nodeName: string }
  | { readonly state: 'failed'; readonly errorCode: z.infer<typeof FailureCode>; readonly errorMessage: string };

/**
 * Asynchronous jobs as they last: one hash per job in Redis, changed only by scripts that check state and fence, so that whatever is
 * killed when, a job ends once and has one result.
 */
export class JobStore {
  readonly #redis: LaiRedis;
  readonly #cipher: PayloadCipher;

  constructor(redis: LaiRedis, cipher: PayloadCipher) {
    this.#redis = redis;
    this.#cipher = cipher;
  }

  get isUp(): boolean {
    return isUp(this.#redis);
  }

  /** `known`: a job of this id is there already, made from the same body or from another one. */
  async submit(job: NewJob): Promise<'new' | 'known' | 'different'> {
    const { id, bodyHash, payload, webhook, target, ...plain } = job;
    const fields: Record<string, string> = {
      ...Object.fromEntries(Object.entries(plain).map(([field, value]) => [field, String(value)])),
      target: JSON.stringify(target),
      payload: this.#cipher.seal(payload, contextOf(id, job.keyId, 'payload')),
      ...(webhook === null ? {} : { webhook }),
    };
    // Listed first: a listed job that is not there is harmless, one that is there but not listed would be forgotten by a crash.
    await this.#redis.zadd(keys.openJobs, 'NX', job.submittedAtMs, id);
    const [isNew, knownHash] = await this.#redis.submitJob(
      keys.job(id),
      bodyHash,
      Math.ceil(Math.max(0, job.deadlineMs - job.submittedAtMs) / 1_000) + KEEP_SECONDS,
      ...Object.entries(fields).flat(),
    );
    // Once more: whoever looked in between found no job to the name, and took it off the list.
    if (isNew === 1) await this.#redis.zadd(keys.openJobs, 'NX', job.submittedAtMs, id);
    return isNew === 1 ? 'new' : knownHash === bodyHash ? 'known' : 'different';
  }

  async read(id: string): Promise<StoredJob | null> {
    const parsed = JobHash.safeParse(await this.#redis.hgetall(keys.job(id)));
    if (!parsed.success) return null;
    const { payload, result, ...rest } = parsed.data;
    const open = (sealed: string | undefined, field: string) =>
      sealed === undefined ? null : this.#cipher.open(sealed, contextOf(id, rest.keyId, field));
    return { ...rest, id, payload: open(payload, 'payload'), result: open(result, 'result') };
  }

  /** Null when there is no such job. */
  async stateOf(id: string): Promise<string | null> {
    return this.#redis.hget(keys.job(id), 'state');
  }

  /** A new run's fence, or null when there is nothing to run any more. */
  async start(id: string, nowMs: number): Promise<number | null> {
    return (await this.#redis.startJob(keys.job(id), nowMs)) || null;
  }

  /** A run has ended without a result. False: the job has ended, or a later run has begun. */
  async requeue(id: string, fence: number): Promise<boolean> {
    return (await this.#redis.requeueJob(keys.job(id), fence)) === 1;
  }

  /** False: this run was overtaken or the job has ended; its result counts for nothing. */
  async finish(job: Pick<StoredJob, 'id' | 'keyId' | 'webhook'>, fence: number, end: JobEnd, nowMs: number): Promise<boolean> {
    const fields: Record<string, string> =
      end.state === 'completed'
        ? {
            result: this.#cipher.seal(end.result, contextOf(job.id, job.keyId, 'result')),
            usage: JSON.stringify(end.usage),
            nodeName: end.nodeName,
          }
        : { errorCode: end.errorCode, errorMessage: end.errorMessage };
    // Before the end is recorded: told twice is allowed, never told is not.
    if (job.webhook) await this.#redis.zadd(keys.webhooks, nowMs, job.id);
    const isRecorded = await this.#redis.finishJob(
      keys.job(job.id),
      fence,
      end.state,
      KEEP_SECONDS,
      'finishedAtMs',
      String(nowMs),
      ...Object.entries(fields).flat(),
    );
    // A later run's job is still open.
    if (isRecorded === 1) await this.#redis.zrem(keys.openJobs, job.id);
    return isRecorded === 1;
  }

  /** The state it had; null when there is no such job. */
  async cancel(id: string, nowMs: number): Promise<JobState | null> {
    const state = await this.#redis.cancelJob(keys.job(id), nowMs);
    await this.#redis.zrem(keys.openJobs, id);
    return state;
  }

  /** Jobs that have not ended, oldest first. */
  async open(limit: number): Promise<readonly string[]> {
    return this.#redis.zrange(keys.openJobs, 0, String(limit - 1));
  }

  async forget(id: string): Promise<void> {
    await this.#redis.zrem(keys.openJobs, id);
  }
}

const contextOf = (id: string, keyId: string, field: string): string => `lai-job|${keyId}|${id}|${field}`;
