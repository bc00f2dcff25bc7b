import type { JobOutcome, JobQueue } from './job-queue.ts';

interface Debt {
  readonly queue: JobQueue;
  readonly jobId: string;
  /** Under which it may have been taken; null when nobody of ours tried to. */
  readonly token: string | null;
  readonly outcome: JobOutcome;
}

/** Beyond this the oldest are forgotten: whoever takes such a job finds nobody waiting for it and finishes it. */
const MOST = 10_000;

/**
 * Jobs whose request is over, or needs none, and that may be in a queue all the same: Redis did not answer when they were to be added,
 * taken or finished, and may have done it later. Nobody waits for them, so nobody would take them out. Single writer of its list.
 */
export class OwedJobs {
  readonly #owed = new Map<string, Debt>();
  #isSettling = false;

  get size(): number {
    return this.#owed.size;
  }

  owe(debt: Debt): void {
    const [oldest] = this.#owed.keys();
    if (this.#owed.size >= MOST && oldest !== undefined) this.#owed.delete(oldest);
    this.#owed.set(`${debt.queue.name} ${debt.jobId}`, debt);
  }

  /** One after the other, so that a Redis that still hangs is asked once and not ten thousand times. */
  async settle(): Promise<void> {
    if (this.#isSettling) return;
    this.#isSettling = true;
    try {
      for (const [name, debt] of this.#owed) {
        await settleOne(debt);
        if (this.#owed.get(name) === debt) this.#owed.delete(name);
      }
    } catch {
      // away again; the next sweep goes on here
    } finally {
      this.#isSettling = false;
    }
  }
}

/** Finished if it is locked for us; taken out if it still waits. Throws when Redis is away. */
const settleOne = async ({ queue, jobId, token, outcome }: Debt): Promise<void> => {
  if (token !== null && (await queue.stateOf(jobId)) === 'taken')
    await queue.complete({ id: jobId, token }, outcome).catch(() => {});
  await queue.remove(jobId);
};
