import type { Target } from '../routing/target.ts';

/** Identifiers and requirements. The prompt of an interactive request never enters Redis: it stays with the replica `origin`. */
export interface JobData {
  readonly requestId: string;
  /** Replica that holds the client; null for a durable job, which whoever takes it runs. */
  readonly origin: string | null;
  readonly keyId: string;
  readonly target: Target;
  /** Epoch milliseconds. */
  readonly deadlineMs: number;
}

/** What is kept of a finished job, for a while. */
export interface JobOutcome {
  readonly outcome: string;
  readonly nodeId: string | null;
}

/** A job off the queue and locked for its taker. */
export interface TakenJob {
  readonly id: string;
  readonly token: string;
  readonly data: JobData;
  readonly priority: number;
}

export interface NewJob {
  readonly id: string;
  readonly data: JobData;
  /** Lower is first; at least 1. */
  readonly priority: number;
}

/**
 * The line of one target. It holds the order; nobody blocks on it: whoever has a free slot takes. Every call may fail while the store is
 * away, and then may have happened all the same.
 */
export interface JobQueue {
  readonly name: string;
  /** Adding an id that is there already changes nothing, so a caller that does not know whether its add arrived adds again. */
  add(job: NewJob): Promise<void>;
  /** The first job in line, locked for `token`, or null when nobody waits. */
  take(token: string): Promise<TakenJob | null>;
  complete(job: Pick<TakenJob, 'id' | 'token'>, outcome: JobOutcome): Promise<void>;
  /** Takes a waiting job out of the line; one that somebody has taken stays. */
  remove(jobId: string): Promise<void>;
  /** `gone`: it is over, or was forgotten. */
  stateOf(jobId: string): Promise<'waiting' | 'taken' | 'gone'>;
  renew(jobs: readonly Pick<TakenJob, 'id' | 'token'>[]): Promise<void>;
  /** Puts jobs back into line whose taker has stopped renewing them. */
  recover(): Promise<void>;
  /** Who is first in line, so many at most; nobody is taken out. */
  first(most: number): Promise<readonly Pick<TakenJob, 'id' | 'data'>[]>;
  /** Jobs in line, everybody's. */
  count(): Promise<number>;
}

export interface JobQueues {
  of(target: Target): JobQueue;
}
