import {
  costOf,
  emptyFairState,
  enqueueFairly,
  type FairState,
  type PriorityClass,
  priorityNow,
  serveFairly,
} from '../scheduler/fairness.ts';
import type { Ticket } from './ticket.ts';

/**
 * Virtual time of all who wait at this replica, whatever for: one machine has many models, and they compete for its slots. It begins
 * anew when nobody waits. Single writer: the lines.
 */
export class FairShare {
  #state: FairState = emptyFairState;
  #waiting = 0;

  /** Gives the ticket its place. */
  enter(ticket: Ticket): void {
    const { state, start, priority } = enqueueFairly(this.#state, {
      key: ticket.keyId,
      priorityClass: ticket.priorityClass,
      cost: costOf(ticket.bodyBytes),
      weight: ticket.weight,
    });
    this.#state = state;
    this.#waiting += 1;
    ticket.start = start;
    ticket.priority = priority;
  }

  leave({ start }: Ticket, isServed: boolean): void {
    this.#waiting -= 1;
    if (this.#waiting === 0) this.#state = emptyFairState;
    else if (isServed) this.#state = serveFairly(this.#state, start);
  }

  /** For jobs that wait in no line of ours. */
  priorityNow(priorityClass: PriorityClass): number {
    return priorityNow(this.#state, priorityClass);
  }
}
