import { backoffMs } from '@lai/shared/backoff';
import type { RejectReason } from '@lai/shared/protocol/coordinator-message';

/**
 * The life of the agent's one socket, as data. Pure: events and `random` in, next state and what to do out.
 *
 *            dial              socket open         challenge ok          welcome
 *   waiting ──────► dialing ──────────────► greeting ──────────► proving ──────────► open
 *      ▲               │                       │                    │                  │
 *      └───────────────┴───── lost / timeout ──┴────────────────────┴──────────────────┘   (wait grows with each failure)
 *                                                                 reject(isFinal) from proving or open ──► refused: a person must act
 *
 * Until the coordinator has proved who it is (proving, open), anybody may be talking: what is said then cannot stop this node, only make
 * it wait.
 */
export type ConnectionState =
  | { readonly kind: 'waiting'; readonly failures: number; readonly waitMs: number }
  | { readonly kind: 'dialing'; readonly failures: number }
  | { readonly kind: 'greeting'; readonly failures: number }
  | { readonly kind: 'proving'; readonly failures: number }
  | { readonly kind: 'open'; readonly epoch: number }
  | { readonly kind: 'refused'; readonly reason: RejectReason; readonly message: string };

export type ConnectionEvent =
  | { readonly kind: 'dial' }
  | { readonly kind: 'opened' }
  | { readonly kind: 'challenged' }
  | { readonly kind: 'welcomed'; readonly epoch: number }
  | { readonly kind: 'rejected'; readonly reason: RejectReason; readonly message: string; readonly isFinal: boolean }
  /** The coordinator asked everybody to come back spread over this time. */
  | { readonly kind: 'goaway'; readonly spreadMs: number }
  /** `brief`: how many connections in a row broke soon after their welcome. */
  | { readonly kind: 'lost'; readonly brief?: number };

export const initialState: ConnectionState = { kind: 'waiting', failures: 0, waitMs: 0 };

/** However long a coordinator wants to be left alone, a node looks for it again within this. */
const MAX_SPREAD_MS = 60_000;

/** Nobody expects to be let in soon who was told never to come back, even if it was not the coordinator who said it. */
const UNPROVED = { capMs: 60_000 };

export const nextState = (state: ConnectionState, event: ConnectionEvent, random: number): ConnectionState => {
  if (state.kind === 'refused') return state;
  const failures = 'failures' in state ? state.failures : 0;
  switch (event.kind) {
    case 'dial':
      return state.kind === 'waiting' ? { kind: 'dialing', failures } : state;
    case 'opened':
      return state.kind === 'dialing' ? { kind: 'greeting', failures } : state;
    case 'challenged':
      return state.kind === 'greeting' ? { kind: 'proving', failures } : state;
    case 'welcomed':
      return state.kind === 'proving' ? { kind: 'open', epoch: event.epoch } : state;
    case 'rejected':
      return event.isFinal && isProved(state)
        ? { kind: 'refused', reason: event.reason, message: event.message }
        : { kind: 'waiting', failures: failures + 1, waitMs: backoffMs(failures + 3, random, event.isFinal ? UNPROVED : {}) };
    case 'goaway':
      if (!isProved(state)) return nextState(state, { kind: 'lost' }, random);
      return { kind: 'waiting', failures: 0, waitMs: Math.floor(random * Math.min(event.spreadMs, MAX_SPREAD_MS)) };
    case 'lost':
      if (state.kind === 'waiting') return state;
      // A connection that lasted comes back fast; one that breaks again and again does so at growing intervals.
      return {
        kind: 'waiting',
        failures: failures + 1,
        waitMs: backoffMs(Math.max(failures, (event.brief ?? 0) - 1), random),
      };
  }
};

/** Whoever is at the other end has shown that it holds the coordinator's key. */
export const isProved = ({ kind }: ConnectionState): boolean => kind === 'proving' || kind === 'open';
