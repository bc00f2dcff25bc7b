import type { CodedError } from '@lai/shared/errors';
import type { Target } from '../routing/target.ts';
import type { PriorityClass } from '../scheduler/fairness.ts';
import type { Placement } from '../scheduler/place.ts';
import type { Clock } from './clock.ts';
import type { TakenJob } from './job-queue.ts';
import type { Lease } from './lease-store.ts';

/** A free slot that is this request's now. */
export interface Grant {
  readonly lease: Lease;
  readonly nodeName: string;
  /** Whatever its model is called there. */
  readonly model: string;
  /** Why there. */
  readonly placement: Placement | null;
}

/** What a request is, to the queue. */
export interface TicketRequest {
  readonly requestId: string;
  readonly keyId: string;
  readonly target: Target;
  readonly priorityClass: PriorityClass;
  /** 2 means twice the share of the key's neighbours. */
  readonly weight: number;
  readonly bodyBytes: number;
  /** Same for the same request sent again; see quarantine.ts. */
  readonly fingerprint: string;
  /** Names of the conversation, best first; see affinity.ts. */
  readonly affinity: readonly string[];
  /** Epoch ms; after it the request no longer waits for a slot. */
  readonly deadlineMs: number;
}

/**
 * A request on its way to a slot. Written by Matching, and its job's part by Books.
 *
 *   adding ──add ok──► queued ──taken──► claimed ──slot──► granted ──failed, again──► claimed
 *      └───────────────┴── deadline, client gone ──┴──► left
 *
 * `claimed`: its job is off the queue and ours, but the slot that took it was not right for it (a node that it failed on, one that is
 * not empty when it must run alone).
 */
export interface Ticket extends TicketRequest {
  readonly enqueuedAtMs: number;
  /** Nodes it failed on, with the epoch of the connection: the same machine connected anew may try again. */
  readonly tried: Map<string, number>;
  /** What came of the last of them. */
  failure: CodedError | null;
  /** In virtual time; see fair-share.ts. */
  start: number;
  priority: number;
  /** Its job's id in the queue; a new one each time it is put there again, so that an old job cannot be taken for it. */
  jobId: string;
  addings: number;
  state: 'adding' | 'queued' | 'claimed' | 'granted' | 'left';
  notBeforeMs: number;
  job: TakenJob | null;
  lastPlacement: Placement | null;
  grant: { resolve(grant: Grant): void; reject(error: CodedError): void } | null;
}

export const newTicket = (request: TicketRequest, nowMs: number): Ticket => ({
  ...request,
  enqueuedAtMs: nowMs,
  tried: new Map(),
  failure: null,
  start: 0,
  priority: 1,
  jobId: request.requestId,
  addings: 0,
  state: 'adding',
  notBeforeMs: 0,
  job: null,
  lastPlacement: null,
  grant: null,
});

/** Resolves or rejects as its `grant` is told to. Calls `onExpire` at its deadline, which has to do that in some way. */
export const expectGrant = (ticket: Ticket, clock: Clock, onExpire: () => void): Promise<Grant> => {
  const { promise, resolve, reject } = Promise.withResolvers<Grant>();
  const cancel = clock.after(Math.max(0, ticket.deadlineMs - clock.nowMs()), onExpire);
  const settling =
    <T>(settle: (value: T) => void) =>
    (value: T) => {
      cancel();
      ticket.grant = null;
      settle(value);
    };
  ticket.grant = { resolve: settling(resolve), reject: settling(reject) };
  return promise;
};
