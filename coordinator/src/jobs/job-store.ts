import { AttemptRoute, FailureCode, Usage } from '@lai/shared/attempt';
import { ERRORS } from '@lai/shared/errors';
import { z } from 'zod';
import { isUp, type LaiRedis } from '../redis/client.ts';
import { keys } from '../redis/keys.ts';
import { Target } from '../routing/target.ts';
import type { PayloadCipher } from './payload-cipher.ts';

/** How long a job is kept after it was submitted, and again after it ended; also how long its idempotency key holds. */
const KEEP_SECONDS = 24 * 3_600;

/** What may be accepted. Beyond, a job is refused while there is still room for the results of those that were accepted before. */
export const JOB_LIMITS = {
  /** Jobs that have not ended. A day's work of a large house, and a lap of the sweep that still takes minutes. */
  open: 100_000,
  /** Of one API key: its jobs that have not ended, and their bodies. Others' jobs must find room beside them. */
  openOfKey: 10_000,
  bytesOfKey: 256 * 1024 * 1024,
  /** Of the memory that Redis may use: by open jobs, by the results that are kept for a day, and by whatever else is in there. */
  memoryShare: 0.8,
} as const;
export type JobLimits = { readonly [limit in keyof typeof JOB_LIMITS]: number };

/** So many open jobs at a time, about, in the looks of `look`. */
const LOOK_AT = 50;

export const JobState = z.enum(['queued', 'running', 'completed', 'failed', 'canceled']);
export type JobState = z.infer<typeof JobState>;

const json = <T>(schema: z.ZodType<T>) =>
  z.string().transform((text, context) => {
    try {
      return schema.parse(JSON.parse(text));
    } catch (error) {
      context.addIssue({ code: 'custom', message: String(error) });
      return z.NEVER;
    }
  });
const ms = z.coerce.number();

/**
 * The hash in Redis, but for the payload. `result` and `errorMessage` are sealed: what an engine says may quote what it was asked. So is
 * `webhook`: its address may hold a secret.
 */
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
  result: z.string().optional(),
  usage: json(Usage.nullable()).optional(),
  nodeName: z.string().optional(),
  errorCode: FailureCode.optional(),
  errorMessage: z.string().optional(),
  webhook: z.string().optional(),
});

/** What it takes to put a job in line, to see that it is due, and to end it; of its webhook, that there is one. */
const OpenJobHash = JobHash.pick({
  ...{ state: true, fence: true, keyId: true, target: true, priority: true },
  ...{ submittedAtMs: true, deadlineMs: true, webhook: true },
});
export type OpenJob = Readonly<z.infer<typeof OpenJobHash>> & { readonly id: string };

export type StoredJob = Readonly<Omit<z.infer<typeof JobHash>, 'result' | 'webhook'>> & {
  readonly id: string;
  /** Null also when it was sealed with another key. */
  readonly webhook: string | null;
  /** The answer, JSON text. */
  readonly result: string | null;
};

/** The request body; gone once the job has ended. Unreadable: it was sealed with another key. */
export type Payload =
  | { readonly kind: 'read'; readonly text: string }
  | { readonly kind: 'gone' }
  | { readonly kind: 'unreadable' };

/** `known`: a job of this id is there already, made from the same body, or `different`: from another one. The others: refused. */
export type Submission = 'new' | 'known' | 'different' | 'too_many' | 'too_many_of_key' | 'no_memory';

export interface NewJob {
  readonly id: string;
  readonly keyId: string;
  readonly route: z.infer<typeof AttemptRoute>;
  readonly target: Target;
  readonly priority: 'interactive' | 'normal' | 'batch';
  readonly submittedAtMs: number;
  readonly deadlineMs: number;
  readonly payload: string;
  readonly webhook: string | null;
}

/** What must be known of a job to end it. */
export type EndingJob = Pick<StoredJob, 'id' | 'keyId'> & { readonly webhook?: string | null | undefined };

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
  readonly #limits: JobLimits;

  constructor(redis: LaiRedis, cipher: PayloadCipher, limits: JobLimits = JOB_LIMITS) {
    this.#redis = redis;
    this.#cipher = cipher;
    this.#limits = limits;
  }

  get isUp(): boolean {
    return isUp(this.#redis);
  }

  async submit(job: NewJob): Promise<Submission> {
    try {
      const { open, openOfKey, bytesOfKey } = this.#limits;
      const listed = await this.#redis.listJob(
        ...[keys.openJobs, keys.jobsOfKey(job.keyId), keys.jobBytesOfKey(job.keyId)],
        ...[job.id, job.submittedAtMs, open, Buffer.byteLength(job.payload), openOfKey, bytesOfKey, 2 * KEEP_SECONDS],
      );
      if (listed === 1) return await this.#record(job);
      return (await this.#known(job)) ?? (listed === 0 ? 'too_many' : 'too_many_of_key');
    } catch (error) {
      // Not even the room that is kept for results is left: Redis itself refuses.
      if (error instanceof Error && /\bOOM\b/.test(error.message)) return (await this.#known(job)) ?? 'no_memory';
      throw error;
    }
  }

  /** Listed before: a listed job that is not there is harmless, one that is there but not listed would be forgotten by a crash. */
  async #record(job: NewJob): Promise<Submission> {
    const { id, payload, webhook, target, ...plain } = job;
    const seal = (text: string, field: string) => this.#cipher.seal(text, contextOf(id, job.keyId, field));
    const bodyHash = this.#hashOf(job);
    const fields: Record<string, string> = {
      ...Object.fromEntries(Object.entries(plain).map(([field, value]) => [field, String(value)])),
      target: JSON.stringify(target),
      payload: seal(payload, 'payload'),
      ...(webhook === null ? {} : { webhook: seal(webhook, 'webhook') }),
    };
    const [answer, knownHash, knownState] = await this.#redis.submitJob(
      keys.job(id),
      bodyHash,
      Math.ceil(Math.max(0, job.deadlineMs - job.submittedAtMs) / 1_000) + KEEP_SECONDS,
      this.#limits.memoryShare,
      ...Object.entries(fields).flat(),
    );
    if (answer === 1) {
      // Once more: whoever looked in between found no job to the name, and took it off the list.
      await this.#redis.zadd(keys.openJobs, 'NX', job.submittedAtMs, id);
      return 'new';
    }
    if (answer === -1 || !isOpen(knownState)) await this.forget(id);
    return answer === -1 ? 'no_memory' : knownHash === bodyHash ? 'known' : 'different';
  }

  async #known(job: NewJob): Promise<'known' | 'different' | null> {
    const knownHash = await this.#redis.hget(keys.job(job.id), 'bodyHash');
    return knownHash === null ? null : knownHash === this.#hashOf(job) ? 'known' : 'different';
  }

  #hashOf({ route, payload }: NewJob): string {
    return this.#cipher.digest(`${route}\n${payload}`);
  }

  /** A result that cannot be opened any more counts as a failure: nobody will ever read it. */
  async read(id: string): Promise<StoredJob | null> {
    const parsed = JobHash.safeParse(await this.#fields(id, JobHash));
    if (!parsed.success) return null;
    const { result, errorMessage, webhook, ...plain } = parsed.data;
    const open = (sealed: string, field: string) => this.#cipher.open(sealed, contextOf(id, plain.keyId, field));
    const job = { ...plain, webhook: webhook === undefined ? null : open(webhook, 'webhook') };
    if (job.errorCode !== undefined) {
      const message = errorMessage === undefined ? null : open(errorMessage, 'errorMessage');
      return { ...job, id, result: null, errorMessage: message ?? ERRORS[job.errorCode].sentence };
    }
    if (result === undefined) return { ...job, id, result: null };
    const opened = open(result, 'result');
    return opened === null ? { ...job, id, result: null, ...UNREADABLE } : { ...job, id, result: opened };
  }

  async readPayload({ id, keyId }: Pick<StoredJob, 'id' | 'keyId'>): Promise<Payload> {
    const sealed = await this.#redis.hget(keys.job(id), 'payload');
    if (sealed === null) return { kind: 'gone' };
    const text = this.#cipher.open(sealed, contextOf(id, keyId, 'payload'));
    return text === null ? { kind: 'unreadable' } : { kind: 'read', text };
  }

  /** Without its payload and its result, which may be large. Null when there is no such job. */
  async readOpen(id: string): Promise<OpenJob | null> {
    const fields = await this.#fields(id, OpenJobHash);
    return fields['state'] === undefined ? null : { ...OpenJobHash.parse(fields), id };
  }

  async #fields(id: string, { shape }: z.ZodObject): Promise<Record<string, string>> {
    const names = Object.keys(shape);
    const values = await this.#redis.hmget(keys.job(id), ...names);
    return Object.fromEntries(names.flatMap((name, at) => (typeof values[at] === 'string' ? [[name, values[at]]] : [])));
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
  async finish(job: EndingJob, fence: number, end: JobEnd, nowMs: number): Promise<boolean> {
    const fields: Record<string, string> =
      end.state === 'completed'
        ? {
            result: this.#cipher.seal(end.result, contextOf(job.id, job.keyId, 'result')),
            usage: JSON.stringify(end.usage),
            nodeName: end.nodeName,
          }
        : {
            errorCode: end.errorCode,
            errorMessage: this.#cipher.seal(end.errorMessage, contextOf(job.id, job.keyId, 'errorMessage')),
          };
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

  /**
   * Some of the jobs that have not ended, and where to go on; '0' is the beginning and, when it comes back, the end. A lap from one to the
   * other meets every job that was open all the while, in no order, maybe twice.
   */
  async look(cursor: string): Promise<{ readonly ids: readonly string[]; readonly next: string }> {
    const [next, entries] = await this.#redis.zscan(keys.openJobs, cursor, 'COUNT', LOOK_AT);
    return { ids: entries.filter((_, at) => at % 2 === 0), next };
  }

  /** Takes a job off the list that has ended, or is not there. One that was recorded while we did so is listed again. */
  async forget(id: string): Promise<void> {
    await this.#redis.zrem(keys.openJobs, id);
    const [state, submittedAtMs] = await this.#redis.hmget(keys.job(id), 'state', 'submittedAtMs');
    if (isOpen(state)) await this.#redis.zadd(keys.openJobs, 'NX', Number(submittedAtMs), id);
  }
}

export const isOpen = (state: string | null | undefined): boolean => state === 'queued' || state === 'running';

export const UNREADABLE = {
  state: 'failed',
  errorCode: 'job_unreadable',
  errorMessage: ERRORS.job_unreadable.sentence,
} as const satisfies JobEnd;

const contextOf = (id: string, keyId: string, field: string): string => `lai-job|${keyId}|${id}|${field}`;
