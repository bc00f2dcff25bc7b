import type { Outcome } from '../../coordinator/src/nodes/node-session.ts';
import type { ErrorCode } from '../../shared/src/errors.ts';
import type { RequestPlan } from './plan/plan.ts';

/** The request that killed an engine. */
export interface Culprit {
  readonly text: string;
  readonly attemptId: string;
}

/** What happened, as an observer who sees everything tells it. Invariants read this; the product never does. */
export type Happening =
  | { readonly kind: 'step'; readonly what: string }
  | { readonly kind: 'log'; readonly replicaId: string; readonly text: string }
  | { readonly kind: 'request.arrived'; readonly request: RequestPlan; readonly replicaId: string; readonly atMs: number }
  | { readonly kind: 'request.content'; readonly requestId: string; readonly attemptId: string }
  | {
      readonly kind: 'request.ended';
      readonly requestId: string;
      /** `dead`: with its coordinator; `left`: after its client had gone. */
      readonly how: 'end' | 'dead' | 'left' | ErrorCode;
      readonly atMs: number;
      readonly lateMs: number;
      /** Attempts that count, as its trail has them. */
      readonly attempts: readonly string[];
    }
  | {
      readonly kind: 'attempt.started';
      readonly replicaId: string;
      readonly nodeId: string;
      readonly attemptId: string;
      readonly requestId: string;
      /** Of the way that was taken, and of the lease that was claimed for it. */
      readonly epoch: number;
      readonly leasedEpoch: number | null;
    }
  | { readonly kind: 'attempt.settled'; readonly attemptId: string; readonly outcome: Outcome }
  | { readonly kind: 'attempt.refused'; readonly nodeId: string; readonly attemptId: string; readonly code: ErrorCode }
  | { readonly kind: 'run.began'; readonly nodeId: string; readonly attemptId: string; readonly requestId: string }
  | { readonly kind: 'run.ended'; readonly nodeId: string; readonly attemptId: string }
  | {
      readonly kind: 'engine.died';
      readonly nodeId: string;
      /** Null for any other reason than a request. */
      readonly by: Culprit | null;
      /** The agent with it. */
      readonly withMachine: boolean;
      readonly inFlight: number;
    }
  | { readonly kind: 'load.asked'; readonly replicaId: string; readonly nodeId: string; readonly model: string }
  | {
      readonly kind: 'load.answered';
      readonly replicaId: string;
      readonly nodeId: string;
      readonly model: string;
      readonly code: ErrorCode | null;
    }
  | { readonly kind: 'message.unreadable'; readonly replicaId: string; readonly what: string }
  | { readonly kind: 'replica.born'; readonly replicaId: string }
  | { readonly kind: 'replica.died'; readonly replicaId: string };

export interface History {
  tell(happening: Happening): void;
}
