import { createHmac } from 'node:crypto';
import type { AttemptRoute, Frame } from '@lai/shared/attempt';
import { CodedError, ERRORS, type ErrorCode } from '@lai/shared/errors';
import type { Logger } from 'pino';
import { type Clock, fromWallMs, repeat } from '../dispatch/clock.ts';
import type { Answer, DispatchRequest } from '../dispatch/dispatcher.ts';
import type { JobQueues, TakenJob } from '../dispatch/job-queue.ts';
import type { Grant } from '../dispatch/ticket.ts';
import type { Target } from '../routing/target.ts';
import type { PriorityClass } from '../scheduler/fairness.ts';
import {
  type EndingJob,
  isOpen,
  JOB_LIMITS,
  type JobEnd,
  type JobState,
  type JobStore,
  type OpenJob,
  type StoredJob,
  type Submission,
  UNREADABLE,
} from './job-store.ts';

/** Open jobs are looked at this often; what fell through a crash is queued again. */
const SWEEP_MS = 3_000;
/** Looks at about fifty jobs each. With more open jobs than that a lap takes several sweeps: ten minutes with 100,000. */
const SWEEP_LOOKS = 10;
/** Younger than this a job may still be on its way into the queue. */
const SETTLE_MS = 5_000;
const FINISH_RETRY_MS = 1_000;
/** Room comes as jobs end, which nobody can foretell. */
const REFUSED_RETRY_SECONDS = 30;
/** Endings that are the machines' doing and say nothing about the job: it goes to the end of its class and is run again. */
const MACHINES_DOING: ReadonlySet<ErrorCode> = new Set(['node_lost', 'accept_timeout', 'preempted']);
/** An engine that is restarting needs a moment: the sweep puts the job back into line. What crashes engines is the quarantine's to stop. */
const ENGINES_DOING: ReadonlySet<ErrorCode> = new Set(['engine_unreachable', 'engine_crashed']);
/** Three attempts each. After that the fleet is not fit for it. */
const MOST_RUNS = 10;

/** Puts an answer's bytes together into the JSON that a client gets who does not stream. */
export interface Collector {
  push(bytes: Uint8Array): void;
  finish(): unknown;
}

export interface JobSubmission {
  readonly keyId: string;
  readonly route: AttemptRoute;
  readonly target: Target;
  /** The client's body, JSON text. */
  readonly body: string;
  readonly priority: PriorityClass;
  readonly idempotencyKey: string | null;
  readonly deadlineMs: number;
  readonly webhook: string | null;
}

export interface JobsOptions {
  readonly store: JobStore;
  readonly queues: JobQueues;
  readonly clock: Clock;
  readonly hint: (target: Target) => void;
  /** By class and then by arrival; fairness between keys is for those who wait at the door. */
  readonly priorityNow: (priorityClass: PriorityClass) => number;
  readonly answer: (request: DispatchRequest, job: TakenJob, grant: Grant) => Answer;
  /** The body as the node's engine wants it; see api/. */
  readonly bodyFor: (body: string) => (model: string) => Uint8Array;
  readonly collectorFor: (body: string) => Collector;
  /** Gives back a slot that is not needed after all. */
  readonly release: (grant: Grant) => void;
  readonly newId: () => string;
  readonly log: Logger;
}

/** What its line must know of a job. */
type JobInLine = Pick<OpenJob, 'id' | 'keyId' | 'target' | 'deadlineMs' | 'priority'>;

/** A stored body, put to use. */
interface Use {
  readonly said: Said;
  readonly bodyFor: (model: string) => Uint8Array;
}

const UNUSABLE = {
  state: 'failed',
  errorCode: 'internal_error',
  errorMessage: 'The stored request cannot be used by this version or configuration of the coordinator. Submit it again.',
} as const satisfies JobEnd;

/**
 * Durable jobs: accepted with 202, run when there is room, kept until somebody asks. At-least-once runs, exactly one recorded result:
 * each run has a fence, and only the newest one's end counts. Single writer of its runs; the truth is in the store.
 *
 *   queued ──taken──► running ──► completed | failed
 *     │                 │ └─ its coordinator dies, or its nodes do: taken again, with a greater fence
 *     └─────────────────┴──► canceled
 */
export class Jobs {
  readonly #options: JobsOptions;
  readonly #running = new Map<string, AbortController>();
  readonly #stop: () => void;
  #isSweeping = false;
  /** Where the next sweep goes on. */
  #cursor = '0';
  /** New jobs were refused, the last time that one came. */
  #isRefusing = false;

  constructor(options: JobsOptions) {
    this.#options = options;
    this.#stop = repeat(options.clock, SWEEP_MS, () => void this.#sweep());
  }

  /** Resolves once the job is safely stored and queued. */
  async submit(submission: JobSubmission): Promise<StoredJob> {
    const { store, clock, newId } = this.#options;
    const { keyId, route, target, body, priority, idempotencyKey, deadlineMs, webhook } = submission;
    const id = idempotencyKey === null ? newId() : idFor(keyId, idempotencyKey);
    const submittedAtMs = clock.wallMs();
    const job = { id, keyId, route, target, priority, submittedAtMs, deadlineMs, payload: body, webhook };
    const answer = await this.#asking(() => store.submit(job));
    this.#refuseIfFull(answer);
    if (answer === 'different') {
      throw new CodedError('idempotency_mismatch', { param: 'Idempotency-Key' });
    }
    // Stored, so it will be run, whatever becomes of this: the sweep finds it in no queue.
    if (answer === 'new')
      await this.#enqueue(job).catch((error: unknown) =>
        this.#options.log.debug({ err: error, jobId: id }, 'job not queued yet'),
      );
    return this.read(id, keyId);
  }

  /** One line in the log when it begins and one when it is over, however many are refused in between. */
  #refuseIfFull(answer: Submission): void {
    const { log } = this.#options;
    if (answer === 'too_many_of_key')
      throw new CodedError('rate_limit_exceeded', { message: TOO_MANY_OF_KEY, retryAfterSeconds: REFUSED_RETRY_SECONDS });
    if (answer === 'too_many' || answer === 'no_memory') {
      if (!this.#isRefusing) log.warn({ reason: answer }, 'new jobs are refused: there is no room for them');
      this.#isRefusing = true;
      throw new CodedError('queue_full', { message: REFUSALS[answer], retryAfterSeconds: REFUSED_RETRY_SECONDS });
    }
    if (answer !== 'new') return;
    if (this.#isRefusing) log.info('new jobs are accepted again');
    this.#isRefusing = false;
  }

  /** Throws `job_not_found` for a job of somebody else as for one that is not there. */
  async read(id: string, keyId: string | null): Promise<StoredJob> {
    const job = JOB_ID.test(id) ? await this.#asking(() => this.#options.store.read(id)) : null;
    if (!job || (keyId !== null && job.keyId !== keyId)) throw new CodedError('job_not_found');
    return job;
  }

  async cancel(id: string, keyId: string | null): Promise<StoredJob> {
    const job = await this.read(id, keyId);
    const before: JobState | null = await this.#asking(() => this.#options.store.cancel(id, this.#options.clock.wallMs()));
    if (before === 'queued')
      await this.#options.queues
        .of(job.target)
        .remove(queueIdOf(id, job.fence === 0 ? 0 : job.fence + 1))
        .catch(() => {});
    this.stopRun(id);
    return this.read(id, keyId);
  }

  /** A run of ours, if there is one: its job was cancelled. */
  stopRun(id: string): void {
    this.#running.get(id)?.abort();
  }

  /** A job was taken off the queue and has a slot. */
  async run(taken: TakenJob, grant: Grant): Promise<void> {
    const { log, release } = this.#options;
    const id = taken.data.requestId;
    try {
      // Redis was away for longer than its lock: it is being run here already, under a fence that still counts.
      if (this.#running.has(id)) await this.#discard(taken, grant);
      else await this.#start(id, taken, grant);
    } catch (error) {
      // Redis is away: the lock ends, and the job is taken again.
      log.warn({ err: error, jobId: id }, 'job not run; it will be taken again');
      release(grant);
    }
  }

  close(): void {
    this.#stop();
    for (const abort of this.#running.values()) abort.abort();
  }

  async #start(id: string, taken: TakenJob, grant: Grant): Promise<void> {
    const { store, clock } = this.#options;
    const abort = new AbortController();
    this.#running.set(id, abort);
    let goesAgain: { readonly job: StoredJob; readonly fence: number; readonly isSoon: boolean } | null = null;
    try {
      const fence = await store.start(id, clock.wallMs());
      const job = fence === null ? null : await store.read(id);
      const payload = job ? await store.readPayload(job) : null;
      if (fence === null || !job || payload?.kind !== 'read') {
        // Trying again would not help it, here or elsewhere: replicas share one key.
        if (fence !== null && job && payload?.kind === 'unreadable') await this.#endUnreadable(job, fence);
        await this.#discard(taken, grant);
      } else {
        const use = this.#useOf(job, payload.text);
        if (use) {
          const ending = await this.#run(job, use, fence, taken, grant, abort.signal);
          if (ending !== 'over') goesAgain = { job, fence, isSoon: ending === 'again' };
        } else {
          await this.#finish(job, fence, UNUSABLE);
          await this.#discard(taken, grant);
        }
      }
    } finally {
      this.#running.delete(id);
    }
    if (goesAgain) await this.#runAgain(goesAgain);
  }

  /** Null when the body, which the door took when it came, is none to us any more: limits are lower now, or we are another version. */
  #useOf({ id }: StoredJob, payload: string): Use | null {
    const { bodyFor, collectorFor, log } = this.#options;
    try {
      return { said: new Said(collectorFor(payload)), bodyFor: bodyFor(payload) };
    } catch (error) {
      log.error({ err: error, jobId: id }, 'the stored request of a job cannot be used any more');
      return null;
    }
  }

  async #run(
    job: StoredJob,
    { said, bodyFor }: Use,
    fence: number,
    taken: TakenJob,
    grant: Grant,
    signal: AbortSignal,
  ): Promise<'over' | 'again' | 'later'> {
    const { answer, clock, log } = this.#options;
    const request: DispatchRequest = {
      ...{ requestId: job.id, keyId: job.keyId, route: job.route, target: job.target, priorityClass: job.priority },
      bodyFor,
      queueDeadlineMs: fromWallMs(clock, job.deadlineMs),
      deadlineMs: fromWallMs(clock, job.deadlineMs),
      isCollected: true,
      signal,
    };
    const { frames, trail } = answer(request, taken, grant);
    let ending: 'over' | 'again' | 'later' = 'over';
    for await (const frame of frames) {
      if (frame.kind === 'chunk') said.push(frame.bytes);
      else if (signal.aborted) continue;
      else if (frame.kind === 'failed' && this.#deservesAnotherRun(job, fence, frame.code))
        ending = ENGINES_DOING.has(frame.code) ? 'later' : 'again';
      // Recorded before the generator goes on and takes the job off the queue: a crash in between runs it again, never loses it.
      else await this.#finish(job, fence, endOf(frame, said, trail.attempts.at(-1)?.nodeName ?? ''));
    }
    const attempts = trail.attempts.map(({ nodeName, outcome }) => `${nodeName}: ${outcome}`);
    log.info({ jobId: job.id, attempts }, ending === 'over' ? 'job ended' : 'job goes back into line: its machines went away');
    return ending;
  }

  async #endUnreadable(job: StoredJob, fence: number): Promise<void> {
    this.#options.log.warn({ jobId: job.id }, 'job was encrypted under another LAI_PAYLOAD_KEY; it cannot be run');
    await this.#finish(job, fence, UNREADABLE);
  }

  #deservesAnotherRun(job: StoredJob, fence: number, code: ErrorCode): boolean {
    return (
      (MACHINES_DOING.has(code) || ENGINES_DOING.has(code)) && fence < MOST_RUNS && this.#options.clock.wallMs() < job.deadlineMs
    );
  }

  /** Not before the run has ended: one replica knows a job once. Should we die here, the sweep finds it in nobody's hands. */
  async #runAgain({ job, fence, isSoon }: { job: StoredJob; fence: number; isSoon: boolean }): Promise<void> {
    const putBack = isSoon ? this.#queueAgain(job, fence) : this.#options.store.requeue(job.id, fence);
    await putBack.catch((error: unknown) => {
      this.#options.log.debug({ err: error, jobId: job.id }, 'job not queued again yet');
    });
  }

  async #queueAgain(job: JobInLine, fence: number): Promise<void> {
    await this.#options.store.requeue(job.id, fence);
    await this.#enqueue(job, fence + 1);
  }

  /** Until it is recorded, or somebody else has the job. */
  async #finish(job: EndingJob, fence: number, end: JobEnd): Promise<void> {
    const { store, clock, log } = this.#options;
    for (;;) {
      try {
        if (!(await store.finish(job, fence, end, clock.wallMs())))
          log.info({ jobId: job.id, fence }, 'a later run has this job; our result is dropped');
        return;
      } catch (error) {
        log.debug({ err: error, jobId: job.id }, 'result not recorded yet');
        await new Promise<void>((resolve) => clock.after(FINISH_RETRY_MS, resolve));
      }
    }
  }

  async #discard(taken: TakenJob, grant: Grant): Promise<void> {
    this.#options.release(grant);
    await this.#options.queues.of(taken.data.target).complete(taken, { outcome: 'obsolete', nodeId: null });
  }

  async #enqueue(job: JobInLine, run = 0): Promise<void> {
    const { queues, hint } = this.#options;
    const data = { requestId: job.id, origin: null, keyId: job.keyId, target: job.target, deadlineMs: job.deadlineMs };
    await queues.of(job.target).add({ id: queueIdOf(job.id, run), data, priority: this.#options.priorityNow(job.priority) });
    hint(job.target);
  }

  /** What a crash left behind: jobs whose taker is gone, and jobs that are recorded but in nobody's queue or hands. */
  async #sweep(): Promise<void> {
    const { store, log } = this.#options;
    if (!store.isUp || this.#isSweeping) return;
    this.#isSweeping = true;
    try {
      await this.#stopCanceled();
      for (let looks = 0; looks < SWEEP_LOOKS; looks += 1) {
        const { ids, next } = await store.look(this.#cursor);
        await this.#lookAt(ids);
        this.#cursor = next;
        if (next === '0') return;
      }
    } catch (error) {
      log.debug({ err: error }, 'open jobs not looked at');
    } finally {
      this.#isSweeping = false;
    }
  }

  /** At another replica. */
  async #stopCanceled(): Promise<void> {
    const { store } = this.#options;
    await Promise.all(
      [...this.#running.keys()].map(async (id) => {
        if ((await store.stateOf(id)) === 'canceled') this.stopRun(id);
      }),
    );
  }

  /** Each by itself: what is wrong with one job must not keep the others waiting. */
  async #lookAt(ids: readonly string[]): Promise<void> {
    const { log, queues, hint } = this.#options;
    const failed = (id: string) => (error: unknown) => log.debug({ err: error, jobId: id }, 'an open job could not be looked at');
    const jobs = await Promise.all(ids.map((id) => this.#readOpen(id).catch(failed(id))));
    const open = jobs.filter((job) => job != null);
    // Most jobs wait in a few lines, and each of these is looked at once.
    for (const [queue, { id, target }] of new Map(open.map((job) => [queues.of(job.target), job]))) {
      await queue.recover().catch(failed(id));
      hint(target);
    }
    await Promise.all(open.map((job) => this.#lookAfter(job).catch(failed(job.id))));
  }

  async #readOpen(id: string): Promise<OpenJob | null> {
    const { store } = this.#options;
    const job = await store.readOpen(id);
    if (job && isOpen(job.state)) return job;
    await store.forget(id);
    return null;
  }

  async #lookAfter(job: OpenJob): Promise<void> {
    if (this.#options.clock.wallMs() > job.deadlineMs) await this.#expire(job);
    else if (await this.#isLost(job)) await this.#queueAgain(job, job.fence);
  }

  /** In no queue under any of the ids it has had there, and not in our hands. */
  async #isLost(job: OpenJob): Promise<boolean> {
    const { queues, clock } = this.#options;
    if (clock.wallMs() - job.submittedAtMs < SETTLE_MS || this.#running.has(job.id)) return false;
    const queue = queues.of(job.target);
    // One after the other: nearly always the first is the one.
    for (let run = 0; run < job.fence + 2; run += 1) if ((await queue.stateOf(queueIdOf(job.id, run))) !== 'gone') return false;
    return true;
  }

  async #expire(job: OpenJob): Promise<void> {
    const { store, clock } = this.#options;
    const fence = await store.start(job.id, clock.wallMs());
    if (fence === null) return;
    this.stopRun(job.id);
    await store.finish(
      job,
      fence,
      { state: 'failed', errorCode: 'deadline_exceeded', errorMessage: 'The job found no room before its deadline.' },
      clock.wallMs(),
    );
  }

  async #asking<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      if (error instanceof CodedError) throw error;
      throw new CodedError('store_unavailable', { retryAfterSeconds: 2, cause: error });
    }
  }
}

const REFUSALS: Record<Extract<Submission, 'too_many' | 'no_memory'>, string> = {
  too_many: `The coordinator keeps ${JOB_LIMITS.open} jobs that have not ended, as many as it may, so it did not accept this one. Wait as long as Retry-After says, or cancel jobs that nobody needs.`,
  no_memory:
    "The coordinator's Redis is fuller than new jobs may make it, so this one was not accepted. Wait as long as Retry-After says; a job makes room when it ends, and its result a day later.",
};

const TOO_MANY_OF_KEY = `This key has ${JOB_LIMITS.openOfKey} jobs that have not ended, or ${JOB_LIMITS.bytesOfKey / 1024 / 1024} MiB of them, as many as one key may. Wait as long as Retry-After says, or cancel jobs that nobody needs.`;

const JOB_ID = /^job_[0-9a-f]{32}$/;

/** One name per key and idempotency key, so that a repeated submission is the same job wherever it arrives. */
const idFor = (keyId: string, idempotencyKey: string): string =>
  `job_${createHmac('sha256', keyId).update(idempotencyKey).digest('hex').slice(0, 32)}`;

const queueIdOf = (id: string, run: number): string => (run === 0 ? id : `${id}-${run}`);

/** What an engine says for one run, as long as it can be read. */
class Said {
  readonly #collector: Collector;
  #isReadable = true;

  constructor(collector: Collector) {
    this.#collector = collector;
  }

  push(bytes: Uint8Array): void {
    if (this.#isReadable) this.#read(() => this.#collector.push(bytes));
  }

  /** The answer as JSON text; null when it is none. */
  finish(): string | null {
    const answer = this.#isReadable ? this.#read(() => this.#collector.finish()) : undefined;
    // Bytes are what the engine said, and fit as they are.
    const text = answer instanceof Uint8Array ? Buffer.from(answer).toString() : JSON.stringify(answer);
    return this.#isReadable && this.#read(() => JSON.parse(text)) !== undefined ? text : null;
  }

  #read<T>(read: () => T): T | undefined {
    try {
      return read();
    } catch {
      // Whatever its collector throws: an answer that cannot be read is none.
      this.#isReadable = false;
      return undefined;
    }
  }
}

const endOf = (frame: Exclude<Frame, { kind: 'chunk' }>, said: Said, nodeName: string): JobEnd => {
  if (frame.kind === 'failed') return { state: 'failed', errorCode: frame.code, errorMessage: frame.message };
  const result = said.finish();
  return result === null
    ? { state: 'failed', errorCode: 'engine_error', errorMessage: ERRORS.engine_error.sentence }
    : { state: 'completed', result, usage: frame.usage, nodeName };
};
