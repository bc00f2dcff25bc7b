import { z } from 'zod';
import { AttemptDeadlines, AttemptRoute } from '../attempt.ts';
import { ModelName, NodeDesired } from '../node.ts';
import { SignedManifest } from '../release.ts';

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
  /** The node's public key as it is known here from now on; says whether a new key was taken. */
  publicKey: base64.optional(),
  statusIntervalMs: count,
  desired: NodeDesired,
  /** The coordinator's clock, so that the node can tell when its own is wrong. Absent from coordinators of before. */
  sentAtMs: count.optional(),
});

/** A reason that only a newer coordinator knows is still a rejection; `message` and `isFinal` say the rest. */
export const RejectReason = z
  .enum([
    'agent_too_old',
    'agent_too_new',
    'unknown_node',
    'bad_signature',
    'revoked',
    'pending_approval',
    'cloned_identity',
    'superseded',
    'bad_message',
  ])
  .catch('bad_message');
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

/**
 * Commands about models. Each is answered by exactly one `command.result`, before it by any number of `command.progress`. A lost
 * connection ends none of them: what was begun goes on, and asking again joins it.
 */
const command = {
  commandId: id,
  /** Of the models the node has told, whatever its runtime calls it: only ever looked up, never passed on. */
  model: z.string().min(1).max(512),
};

/** Load a model and keep it; nobody's disconnect cancels it. Done when it is warm. `replaces` is unloaded first (hot swap). */
export const ModelLoad = z.object({
  type: z.literal('model.load'),
  ...command,
  replaces: command.model.optional(),
  /** As of an attempt: in spite of gaming mode, if the owner's policy allows it. */
  isForced: z.boolean().optional(),
});

/** Take no new requests for the model, let what runs finish within `graceMs`, then unload it. With 0 what runs is cut short. */
export const ModelUnload = z.object({ type: z.literal('model.unload'), ...command, graceMs: count.max(3_600_000).optional() });

/** Bring a model onto the node's disk. The owner's allow list has the last word on what. */
export const ModelPullCommand = z.object({ type: z.literal('model.pull'), commandId: id, model: ModelName });

/** Take it off the disk; unloads it first. */
export const ModelDelete = z.object({ type: z.literal('model.delete'), ...command });

/** Ends the load or pull that was begun by the command of this id; that one then ends with `canceled`. Has no answer of its own. */
export const ModelCancel = z.object({ type: z.literal('model.cancel'), commandId: id });

/**
 * Become the version of this signed release; the files are fetched from the coordinator that the node enrolled with. Answered like the
 * commands above: `command.result` with ok says that the node is about to start again, the next hello says as what. `isForced` goes back
 * to an older version, or tries one again that was taken back. The owner's policy has the last word.
 */
export const NodeUpdate = z.object({
  type: z.literal('node.update'),
  commandId: id,
  release: SignedManifest,
  isForced: z.boolean().optional(),
});

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
  ModelUnload,
  ModelPullCommand,
  ModelDelete,
  ModelCancel,
  NodeUpdate,
]);

/** The closed list of what a coordinator may ask of a node's models. */
export const ModelCommand = z.discriminatedUnion('type', [ModelLoad, ModelUnload, ModelPullCommand, ModelDelete]);
export type ModelCommand = z.infer<typeof ModelCommand>;

/** With what it may ask of the node itself. */
export const AgentCommand = z.discriminatedUnion('type', [...ModelCommand.options, NodeUpdate]);
export type AgentCommand = z.infer<typeof AgentCommand>;

export type CoordinatorMessage = z.infer<typeof CoordinatorMessage>;
