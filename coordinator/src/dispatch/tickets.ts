import type { TakenJob } from './job-queue.ts';
import type { Ticket } from './ticket.ts';

/** Everybody who is here, from coming to leaving, with the counts that bound them (admission.ts). Single writer of those. */
export class Tickets {
  readonly #byRequest = new Map<string, Ticket>();
  readonly #ofKey = new Map<string, number>();
  #heldBytes = 0;

  get size(): number {
    return this.#byRequest.size;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  ofKey(keyId: string): number {
    return this.#ofKey.get(keyId) ?? 0;
  }

  /** Whose job this is; undefined for a stranger's, and for one that was put in line anew since. */
  ofJob(job: TakenJob): Ticket | undefined {
    const ticket = this.#byRequest.get(job.data.requestId);
    return ticket?.jobId === job.id ? ticket : undefined;
  }

  all(): Iterable<Ticket> {
    return this.#byRequest.values();
  }

  add(ticket: Ticket): void {
    this.#byRequest.set(ticket.requestId, ticket);
    this.#count(ticket, 1);
  }

  /** False when it never was in here. */
  delete(ticket: Ticket): boolean {
    if (this.#byRequest.get(ticket.requestId) !== ticket) return false;
    this.#byRequest.delete(ticket.requestId);
    this.#count(ticket, -1);
    return true;
  }

  #count({ keyId, bodyBytes }: Ticket, change: 1 | -1): void {
    this.#heldBytes += change * bodyBytes;
    const count = this.ofKey(keyId) + change;
    if (count > 0) this.#ofKey.set(keyId, count);
    else this.#ofKey.delete(keyId);
  }
}
