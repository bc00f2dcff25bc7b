import type { Hold } from '@lai/shared/node';

const REST_MS = 60_000;
const LONGEST_REST_MS = 60 * 60_000;
/** After a day without another one the count begins anew. */
const FORGET_MS = 24 * 60 * 60_000;
/** A node that broke the protocol so often is locked until an operator has decided. */
const LOCK_AFTER = 20;
const MOST_NODES = 10_000;

interface Offense {
  readonly count: number;
  readonly reason: string;
  readonly atMs: number;
  readonly untilMs: number;
}

/**
 * Nodes that broke the protocol: sent without credit, flooded. Each gets a hold of kind `distrusted`, a minute the first time and twice as
 * long each time after that, at most an hour. Time is a parameter, epoch milliseconds. Single writer of its counts; they are this replica's.
 */
export class Distrust {
  readonly #offenses = new Map<string, Offense>();

  /** True when the node is to be locked. */
  record(nodeId: string, reason: string, nowMs: number): boolean {
    const before = this.#offenses.get(nodeId);
    const count = before && nowMs - before.atMs < FORGET_MS ? before.count + 1 : 1;
    const restMs = Math.min(LONGEST_REST_MS, REST_MS * 2 ** (count - 1));
    // Last offender last, so that the oldest is forgotten first.
    this.#offenses.delete(nodeId);
    this.#offenses.set(nodeId, { count, reason, atMs: nowMs, untilMs: nowMs + restMs });
    const [oldest] = this.#offenses.keys();
    if (this.#offenses.size > MOST_NODES && oldest !== undefined) this.#offenses.delete(oldest);
    return count >= LOCK_AFTER;
  }

  /** Why the node gets no work from the coordinator at the moment. */
  holdOn(nodeId: string, nowMs: number): Hold | null {
    const offense = this.#offenses.get(nodeId);
    if (!offense || offense.untilMs <= nowMs) return null;
    const { count, reason, atMs, untilMs } = offense;
    const times = count > 1 ? `, ${count} times within a day` : '';
    return { kind: 'distrusted', cause: `this node ${reason}${times}`, sinceMs: atMs, untilMs };
  }

  /** An operator has decided for the node. */
  forgive(nodeId: string): void {
    this.#offenses.delete(nodeId);
  }
}
