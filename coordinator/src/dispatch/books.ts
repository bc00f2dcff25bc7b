import type { Logger } from 'pino';
import { type Clock, toWallMs } from './clock.ts';
import type { JobOutcome, NewJob, TakenJob } from './job-queue.ts';
import type { Lease } from './lease-store.ts';
import type { Line } from './line.ts';
import { OwedJobs } from './owed-jobs.ts';
import type { Ticket } from './ticket.ts';

export interface BooksOptions {
  readonly replicaId: string;
  readonly clock: Clock;
  readonly isStoreUp: () => boolean;
  /** Its job is in line now. */
  readonly onEntered: (ticket: Ticket) => void;
  readonly log: Logger;
}

/**
 * What stands in Redis of the requests that are here: one job each, which is put in line, kept there, locked while it runs, and finished or
 * taken out when nobody needs it. What Redis did not answer to is tried again until it does. Writer of a ticket's `jobId` and of its way
 * from `adding` to `queued`.
 */
export class Books {
  readonly #options: BooksOptions;
  readonly #owed = new OwedJobs();

  constructor(options: BooksOptions) {
    this.#options = options;
  }

  /** Puts its job in line. Should that fail, the ticket stays `adding`, to be entered again. */
  async enter(line: Line, ticket: Ticket): Promise<void> {
    try {
      await line.queue.add(this.jobOf(ticket));
    } catch (error) {
      this.#options.log.debug({ err: error, requestId: ticket.requestId }, 'job not added yet');
      return;
    }
    if (ticket.state === 'left') this.remove(line, ticket.jobId);
    if (ticket.state === 'adding') ticket.state = 'queued';
    this.#options.onEntered(ticket);
  }

  jobOf({ requestId, keyId, target, deadlineMs, jobId, priority }: Ticket): NewJob {
    const { replicaId: origin, clock } = this.#options;
    return { id: jobId, priority, data: { requestId, origin, keyId, target, deadlineMs: toWallMs(clock, deadlineMs) } };
  }

  /**
   * Redis was away or has forgotten: whatever waits here but not there is put there again. A take whose answer was lost has left its job
   * taken by nobody; that one runs into its lock's end, and the request gets a new one.
   */
  async recheck(lines: Iterable<Line>): Promise<void> {
    await Promise.all([...lines].flatMap((line) => [...line.waiting].map((ticket) => this.#recheck(line, ticket))));
  }

  async #recheck(line: Line, ticket: Ticket): Promise<void> {
    try {
      if (ticket.state === 'queued' && (await line.queue.stateOf(ticket.jobId)) === 'waiting') return;
    } catch {
      return; // away again; it will be looked at again
    }
    if (ticket.state !== 'queued' && ticket.state !== 'adding') return;
    ticket.addings += 1;
    ticket.jobId = `${ticket.requestId}-${ticket.addings}`;
    ticket.state = 'adding';
    await this.enter(line, ticket);
  }

  finish(line: Line, job: TakenJob, outcome: JobOutcome): void {
    line.queue.complete(job, outcome).catch((error: unknown) => {
      this.#options.log.debug({ err: error, jobId: job.id }, 'job not marked as finished');
      this.#owed.owe({ queue: line.queue, jobId: job.id, token: job.token, outcome });
    });
  }

  remove({ queue }: Line, jobId: string): void {
    const outcome = { outcome: 'canceled', nodeId: null };
    queue.remove(jobId).catch(() => this.#owed.owe({ queue, jobId, token: null, outcome }));
  }

  /** Its attempt runs without a job, which may be in line or taken by us all the same. */
  oweStarted({ queue }: Line, jobId: string, lease: Lease): void {
    this.#owed.owe({ queue, jobId, token: lease.id, outcome: { outcome: 'end', nodeId: lease.nodeId } });
  }

  /** Asks once more for what Redis has not answered to. */
  settle(): void {
    if (this.#options.isStoreUp()) void this.#owed.settle();
  }

  /** For as long as somebody's job is ours nobody else may think that its taker is dead. */
  renewLocks(jobs: Iterable<readonly [Line, TakenJob]>): void {
    for (const [line, ofLine] of Map.groupBy(jobs, ([line]) => line))
      line.queue.renew(ofLine.map(([, job]) => job)).catch(() => {});
  }
}
