import { z } from 'zod';
import { AttemptTimings, FailureCode, Usage } from '../attempt.ts';
import { NodeSnapshot } from '../node.ts';

const id = z.string().min(1).max(64);
const base64 = z
  .string()
  .max(256)
  .regex(/^[A-Za-z0-9+/=]+$/);

/** First message of a socket. `nonce` is 32 random bytes, so that the coordinator's answer cannot be a replay. */
export const NodeHello = z.object({
  type: z.literal('node.hello'),
  protocol: z.number().int().positive(),
  agentVersion: z.string().max(64),
  nodeId: id,
  nonce: base64,
  /** Random, made when the agent process starts: tells a machine that was cut off from one that died. */
  instanceId: id.optional(),
});

/** The agent's signature over the transcript of this handshake; see DESIGN.md. `generation` is the last one it was given. */
export const NodeProof = z.object({
  type: z.literal('node.proof'),
  signature: base64,
  generation: z.number().int().nonnegative(),
  /** A new key in the place of the one that signs here: both keys sign the rotation transcript (codec.ts). */
  nextKey: z.object({ publicKey: base64, signature: base64, nextSignature: base64 }).optional(),
});

/** A level, not an edge: the whole truth each time, so a lost one costs nothing. */
export const NodeStatus = z.object({ type: z.literal('node.status'), snapshot: NodeSnapshot });

/** The node has a slot and will run the attempt. Due within the accept deadline. */
export const AttemptAccept = z.object({ type: z.literal('attempt.accept'), attemptId: id });

export const AttemptEnd = z.object({
  type: z.literal('attempt.end'),
  attemptId: id,
  finishReason: z.string().max(64).nullable(),
  usage: Usage.nullable(),
  timings: AttemptTimings.nullable(),
});

export const AttemptFail = z.object({
  type: z.literal('attempt.fail'),
  attemptId: id,
  code: FailureCode,
  /** For the log, never for the client. */
  detail: z.string().max(2_000).optional(),
  /** For the client: why the engine called the request itself invalid, in its words, cleaned. */
  explanation: z.string().max(500).optional(),
  usage: Usage.nullish(),
});

/**
 * A command is under way: at once when it begins, then at most twice a second, and every 10 s when there is nothing new, so that
 * silence means that nobody is at it. `stage` is an open word for people: the engine's own while it pulls.
 */
export const CommandProgress = z.object({
  type: z.literal('command.progress'),
  commandId: id,
  stage: z.string().max(200),
  completedBytes: z.number().nonnegative().nullable(),
  totalBytes: z.number().nonnegative().nullable(),
});

/** Outcome of a command. */
export const CommandResult = z.object({
  type: z.literal('command.result'),
  commandId: id,
  ok: z.boolean(),
  code: FailureCode.optional(),
  detail: z.string().max(2_000).optional(),
});

export const AgentMessage = z.discriminatedUnion('type', [
  NodeHello,
  NodeProof,
  NodeStatus,
  AttemptAccept,
  AttemptEnd,
  AttemptFail,
  CommandProgress,
  CommandResult,
]);
export type AgentMessage = z.infer<typeof AgentMessage>;
