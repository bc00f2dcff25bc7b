import { z } from 'zod';
import { AttemptDeadlines, AttemptRoute } from '../attempt.ts';
import { NodeDesired } from '../node.ts';

const id = z.string().min(1).max(64);
const base64 = z
  .string()
  .max(256)
  .regex(/^[A-Za-z0-9+/=]+$/);
const count = z.number().int().nonnegative();

/** Proves the coordinator's identity (pinned when the node enrolled) and asks for the node's. */
export const NodeChallenge = z.object({
  type: z.literal('node.challenge'),
  nonce: base64,
  signature: base64,
});

export const NodeWelcome = z.object({
  type: z.literal('node.welcome'),
  protocol: z.number().int().positive(),
  /** Number of this connection of the node; greater than every earlier one. Fences late results. */
  epoch: count,
  /** To be stored and shown next time; a node that shows an old one is a copy. */
  generation: count,
  statusIntervalMs: count,
  desired: NodeDesired,
});

export const RejectReason = z.enum([
  'agent_too_old',
  'agent_too_new',
  'unknown_node',
  'bad_signature',
  'revoked',
  'pending_approval',
  'cloned_identity',
  'superseded',
  'bad_message',
]);
export type RejectReason = z.infer<typeof RejectReason>;

/** Said before the socket is closed. `isFinal`: reconnecting cannot help until a person acts. */
export const NodeReject = z.object({
  type: z.literal('node.reject'),
  reason: RejectReason,
  message: z.string(),
  isFinal: z.boolean(),
});

export const NodeDesire = z.object({ type: z.literal('node.desire'), desired: NodeDesired });

/** The coordinator is going away: reconnect after a random share of `spreadMs`. */
export const NodeGoaway = z.object({ type: z.literal('node.goaway'), spreadMs: count });

/** Followed by the body in binary frames of the same stream. */
export const AttemptStart = z.object({
  type: z.literal('attempt.start'),
  attemptId: id,
  requestId: z.string().max(128),
  stream: z.number().int().positive().max(0xffffffff),
  route: AttemptRoute,
  model: z.string().min(1).max(512),
  bodyBytes: count,
  /** Bytes the node may send before it needs more credit. */
  windowBytes: count,
  deadlines: AttemptDeadlines,
  /** Somebody asked for this node in spite of gaming mode; the owner's policy has the last word. */
  isForced: z.boolean().optional(),
});

export const AttemptCancel = z.object({ type: z.literal('attempt.cancel'), attemptId: id, reason: z.string().max(200) });

export const AttemptCredit = z.object({ type: z.literal('attempt.credit'), stream: z.number().int().positive(), bytes: count });

/** Load a model and keep it; nobody's disconnect cancels it. Answered by `command.result` when it is warm or has failed. */
export const ModelLoad = z.object({ type: z.literal('model.load'), commandId: id, model: z.string().min(1).max(512) });

export const CoordinatorMessage = z.discriminatedUnion('type', [
  NodeChallenge,
  NodeWelcome,
  NodeReject,
  NodeDesire,
  NodeGoaway,
  AttemptStart,
  AttemptCancel,
  AttemptCredit,
  ModelLoad,
]);
export type CoordinatorMessage = z.infer<typeof CoordinatorMessage>;
