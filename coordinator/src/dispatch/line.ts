import type { Target } from '../routing/target.ts';
import type { FairShare } from './fair-share.ts';
import type { JobQueue } from './job-queue.ts';
import type { Ticket } from './ticket.ts';

/** Weight of the newest interval between two departures. */
const NEWEST = 0.2;

/**
 * The requests of ours that wait for one target, and what is known about how fast that line moves. BullMQ's order decides who is taken;
 * this is our picture of it. Single writer: Matching.
 */
export class Line {
  readonly queue: JobQueue;
  readonly target: Target;
  /** In the order they came. */
  readonly waiting = new Set<Ticket>();
  /** Takes that are under way. */
  taking = 0;
  /** Takes for nobody of ours that are under way, and how many may be: more for as long as they find something. */
  probing = 0;
  mostProbes = 1;
  /** How often it was said that somebody else's job waits here. */
  hints = 0;
  /** When Redis was last looked at for who waits. */
  lookedAtMs = Number.NEGATIVE_INFINITY;
  readonly #share: FairShare;
  #lastDepartureMs: number | null = null;
  #departureEveryMs: number | null = null;

  constructor(queue: JobQueue, target: Target, share: FairShare) {
    this.queue = queue;
    this.target = target;
    this.#share = share;
  }

  /** Nobody of ours waits here, and nothing is under way. */
  get isIdle(): boolean {
    return this.waiting.size === 0 && this.taking === 0 && this.probing === 0;
  }

  join(ticket: Ticket): void {
    this.#share.enter(ticket);
    this.waiting.add(ticket);
  }

  /** Out of the line, because it was taken (`at`) or has left. */
  leave(ticket: Ticket, takenAtMs: number | null): void {
    if (!this.waiting.delete(ticket)) return;
    this.#share.leave(ticket, takenAtMs !== null);
    if (takenAtMs === null) return;
    if (this.#lastDepartureMs !== null && this.waiting.size > 0) {
      const interval = takenAtMs - this.#lastDepartureMs;
      this.#departureEveryMs =
        this.#departureEveryMs === null ? interval : this.#departureEveryMs + NEWEST * (interval - this.#departureEveryMs);
    }
    this.#lastDepartureMs = this.waiting.size > 0 ? takenAtMs : null;
  }

  /** Who, of those that count, is likely to be taken next. */
  head(counts: (ticket: Ticket) => boolean = () => true): Ticket | null {
    let head: Ticket | null = null;
    for (const ticket of this.waiting) if ((head === null || ticket.priority < head.priority) && counts(ticket)) head = ticket;
    return head;
  }

  /** Priority of the next one to be taken, behind those for whom a take is under way; null when there is none. */
  get nextPriority(): number | null {
    if (this.taking === 0) return this.head()?.priority ?? null;
    return [...this.waiting].map(({ priority }) => priority).sort((a, b) => a - b)[this.taking] ?? null;
  }

  /** 1 for the next; null for a stranger. */
  position(ticket: Ticket): number | null {
    if (!this.waiting.has(ticket)) return null;
    let ahead = 0;
    for (const other of this.waiting) {
      if (other === ticket) continue;
      if (other.priority < ticket.priority || (other.priority === ticket.priority && other.enqueuedAtMs < ticket.enqueuedAtMs))
        ahead += 1;
    }
    return ahead + 1;
  }

  /** Milliseconds until the one at this position is likely to be taken; null while nothing is known of the line's pace. */
  etaMs(position: number): number | null {
    return this.#departureEveryMs === null ? null : Math.round(position * this.#departureEveryMs);
  }
}
