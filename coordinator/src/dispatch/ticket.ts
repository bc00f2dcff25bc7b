import type { CodedError } from '@lai/shared/errors';
import type { Target } from '../routing/target.ts';
import type { Placement } from '../scheduler/place.ts';
import type { Lease } from './leases.ts';
import type { TakenJob } from './queue.ts';

/** A free slot that is this request's now. */
export interface Grant {
  readonly lease: Lease;
  readonly nodeName: string;
  readonly epoch: number;
  /** Whatever its model is called there. */
  readonly model: string;
}

/**
 * A request on its way to a slot. Written by Matching alone.
 *
 *   adding ──add ok──► queued ──taken──► claimed ──slot──► granted ──failed, again──► claimed
 *      └───────────────┴── deadline, client gone ──┴──► left
 *
 * `claimed`: its job is off the queue and ours, but the slot that took it was not right for it (a node that it failed on).
 */
export interface Ticket {
  readonly requestId: string;
  readonly keyId: string;
  readonly target: Target;
  readonly enqueuedAtMs: number;
  /** Epoch ms; after it the request no longer waits for a slot. */
  readonly deadlineMs: number;
  /** Nodes it failed on, with the epoch of the connection: the same machine connected anew may try again. */
  readonly tried: Map<string, number>;
  /** Its job's id in the queue; a new one each time it is put there again, so that an old job cannot be taken for it. */
  jobId: string;
  addings: number;
  state: 'adding' | 'queued' | 'claimed' | 'granted' | 'left';
  notBeforeMs: number;
  job: { readonly job: TakenJob; readonly token: string } | null;
  lastPlacement: Placement | null;
  grant: { resolve(grant: Grant): void; reject(error: CodedError): void } | null;
}
