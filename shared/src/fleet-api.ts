import { z } from 'zod';
import { NodeEntry } from './admin-api.ts';
import { LoadedModel, NodeSnapshot } from './node.ts';

/** Shapes of what people watch: the fleet as it is, and the feed that tells how it changes. */

const count = z.number().int().nonnegative();
const epochMs = z.number().int().nonnegative();
const bytes = z.number().nonnegative().nullable();

/** What a node says of itself, without the models that only lie on its disk: those are in the matrix. */
export const NodeReport = NodeSnapshot.omit({ name: true, sequence: true, takenAtMs: true, models: true }).extend({
  models: z.array(LoadedModel),
  coldCount: count,
});
export type NodeReport = z.infer<typeof NodeReport>;

/** One machine: what operators want of it (`entry.desired`) beside what it is (`report`). */
export const FleetNode = z.object({
  entry: NodeEntry,
  liveness: z.enum(['alive', 'suspect', 'offline']),
  /** Of its connection; null when it has not connected since this coordinator started. */
  epoch: count.nullable(),
  /** Since when it is away, or the last time it is known to have connected; null while it is connected, or when it never was. */
  lastSeenMs: epochMs.nullable(),
  /** The last one; of an offline node it is as old as `lastSeenMs`. Null when it has told nothing yet. */
  report: NodeReport.nullable(),
});
export type FleetNode = z.infer<typeof FleetNode>;

/** Over all replicas. */
export const FleetCounts = z.object({ running: count, waiting: count, redis: z.enum(['up', 'down']) });
export type FleetCounts = z.infer<typeof FleetCounts>;

/** Something that a node was told to do with a model, and how far it is. */
export const CommandView = z.object({
  commandId: z.string(),
  nodeId: z.string(),
  type: z.enum(['model.load', 'model.unload', 'model.pull', 'model.delete']),
  model: z.string(),
  stage: z.string().nullable(),
  completedBytes: bytes,
  totalBytes: bytes,
  startedBy: z.string(),
  startedAtMs: epochMs,
  updatedAtMs: epochMs,
  /** `lost`: the coordinator that watched it is gone; the machine may still be at it. */
  state: z.enum(['running', 'done', 'failed', 'canceled', 'lost']),
  /** Why it failed. */
  message: z.string().nullable(),
});
export type CommandView = z.infer<typeof CommandView>;

/** All of it at one moment. */
export const FleetLevel = z.object({
  serverTimeMs: epochMs,
  version: z.string(),
  counts: FleetCounts,
  /** Those that run, and the last ones that have ended; newest first. */
  commands: z.array(CommandView),
  nodes: z.array(FleetNode),
});
export type FleetLevel = z.infer<typeof FleetLevel>;

/** What somebody who looks at a list should ask for again. */
export const ChangedList = z.enum(['nodes', 'models', 'keys', 'tokens', 'users', 'updates']);
export type ChangedList = z.infer<typeof ChangedList>;

/**
 * Events of `GET /api/v1/events`, by name. They tell levels, not edges: each `node` is the whole node, `fleet` replaces everything
 * that was known, so whoever missed some is right again with the next one.
 */
export const FEED_EVENTS = {
  /** First, once. Another `version` than before: the page was replaced too. */
  hello: z.object({ serverTimeMs: epochMs, version: z.string(), replicaId: z.string() }),
  /** Second, once. */
  fleet: FleetLevel,
  node: FleetNode,
  'node.gone': z.object({ nodeId: z.string() }),
  counts: FleetCounts,
  command: CommandView,
  changed: z.object({ what: ChangedList }),
  /** Every 5 s. Silence of three times that: the connection is dead. */
  beat: z.object({ serverTimeMs: epochMs }),
  /** Last. The connection ends. */
  bye: z.object({ reason: z.enum(['right_ended', 'shutting_down']) }),
} as const;
export type FeedEventName = keyof typeof FEED_EVENTS;
export type FeedEvent<Name extends FeedEventName> = z.infer<(typeof FEED_EVENTS)[Name]>;

/** What attempts and loads have taught of a model on a node; null where nothing is known. */
export const ModelSpeed = z.object({
  model: z.string(),
  loadMs: z.number().nullable(),
  firstTokenMs: z.number().nullable(),
  promptTokensPerSecond: z.number().nullable(),
  tokensPerSecond: z.number().nullable(),
});
export type ModelSpeed = z.infer<typeof ModelSpeed>;

export const NodeDetail = z.object({ node: FleetNode, models: z.array(LoadedModel), speeds: z.array(ModelSpeed) });
export type NodeDetail = z.infer<typeof NodeDetail>;

/** A model's state on a node in one character: absent, cold, loading, warm, draining, unloading, failed. */
export const STATE_LETTERS = {
  '-': null,
  c: 'cold',
  l: 'loading',
  w: 'warm',
  d: 'draining',
  u: 'unloading',
  f: 'failed',
} as const;

export const ModelMatrix = z.object({
  models: z.array(
    z.object({ id: z.string(), capabilities: z.array(z.string()), contextLength: count.nullable(), sizeBytes: bytes }),
  ),
  /** `states`: one character for each of `models`, see STATE_LETTERS. */
  nodes: z.array(z.object({ nodeId: z.string(), name: z.string(), states: z.string() })),
});
export type ModelMatrix = z.infer<typeof ModelMatrix>;
