import { z } from 'zod';
import { GAMING_MODES, ListedName, NodeDesired, NodeSnapshot } from './node.ts';
import { ModelDelete, ModelLoad, ModelPullCommand, ModelUnload } from './protocol/coordinator-message.ts';

/** Shapes of the management API (`/api/v1/…`), shared by the coordinator, the CLI and the dashboard. */

/** Safe to show anywhere: no control characters, no markup, no path. */
export const DisplayName = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[A-Za-z0-9 ._-]+$/, 'letters, digits, space, dot, underscore and dash only');

const GroupName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'small letters, digits and dashes, 32 at most');

export const EnrollRequest = z.object({
  token: z.string().min(1).max(256),
  name: DisplayName,
  /** Raw Ed25519 public key, base64. The private half never leaves the node. */
  publicKey: z.string().regex(/^[A-Za-z0-9+/]{43}=$/, 'expected 32 bytes as base64'),
});
export type EnrollRequest = z.infer<typeof EnrollRequest>;

export const EnrollResponse = z.object({
  nodeId: z.string(),
  /** What the fleet calls the node, where another one has the name it wanted. Absent from coordinators before 2026-12. */
  name: z.string().optional(),
  /** The coordinator's raw Ed25519 public key, base64; the node pins it when it fits the fingerprint in the token. */
  coordinatorKey: z.string(),
  /** Pending: an operator has to approve the node first. Absent from coordinators before 2026-11. */
  state: z.enum(['approved', 'pending']).optional(),
});
export type EnrollResponse = z.infer<typeof EnrollResponse>;

/** What the coordinator has learned of a model on a node; null is not known yet. */
export const LearnedSpeeds = z.object({
  tokensPerSecond: z.number().nullable(),
  firstContentMs: z.number().nullable(),
  loadMs: z.number().nullable(),
});
export type LearnedSpeeds = z.infer<typeof LearnedSpeeds>;

export const NodeView = z.object({
  nodeId: z.string(),
  epoch: z.number().int(),
  liveness: z.enum(['alive', 'suspect', 'offline']),
  snapshot: NodeSnapshot.nullable(),
  /** By model. Absent from coordinators before 2026-12. */
  speeds: z.record(z.string(), LearnedSpeeds).optional(),
});
export type NodeView = z.infer<typeof NodeView>;

export const FleetStatus = z.object({
  version: z.string(),
  uptimeSeconds: z.number(),
  redis: z.enum(['up', 'down']),
  waiting: z.number().int(),
  running: z.number().int(),
  nodes: z.array(NodeView),
});
export type FleetStatus = z.infer<typeof FleetStatus>;

// Administration. Every list is whole: a fleet has tens of these, not thousands.

export const SCOPES = ['inference', 'read', 'admin'] as const;
export const Scope = z.enum(SCOPES);
export type Scope = z.infer<typeof Scope>;

/** A model's or an alias's name, or its beginning and a star. */
const ModelPattern = z
  .string()
  .regex(/^[^\s*]{0,200}\*?$/, 'a name, or its beginning and a star')
  .min(1);
const epochMs = z.number().int().nonnegative();
/** Ten years. */
const MAX_SPAN_SECONDS = 10 * 366 * 24 * 3_600;

export const NewKey = z.strictObject({
  name: DisplayName,
  scopes: z.array(Scope).min(1).max(SCOPES.length).default(['inference']),
  /** Null: every model. */
  models: z.array(ModelPattern).min(1).max(200).nullable().default(null),
  /** By the coordinator's clock. */
  expiresAtMs: epochMs.nullable().default(null),
  /** From when the coordinator is asked; for callers whose clock may be another. Wins over `expiresAtMs`. */
  expiresInSeconds: z.number().int().positive().max(MAX_SPAN_SECONDS).optional(),
});
export type NewKey = z.input<typeof NewKey>;

/** A change that changes nothing is a mistake of whoever sent it. */
const isChange = (change: Record<string, unknown>): boolean => Object.values(change).some((value) => value !== undefined);

/** Only what is there is changed. */
export const KeyChange = z
  .strictObject({
    name: DisplayName.optional(),
    scopes: z.array(Scope).min(1).max(SCOPES.length).optional(),
    models: z.array(ModelPattern).min(1).max(200).nullable().optional(),
    expiresAtMs: epochMs.nullable().optional(),
    isEnabled: z.boolean().optional(),
  })
  .refine(isChange, 'nothing to change');
export type KeyChange = z.infer<typeof KeyChange>;

export const MAX_GRACE_SECONDS = 7 * 24 * 3_600;
export const KeyRotation = z.strictObject({
  /** How long the old secret still works. */
  graceSeconds: z.number().int().min(0).max(MAX_GRACE_SECONDS).default(0),
});
export type KeyRotation = z.input<typeof KeyRotation>;

export const KeyView = z.object({
  id: z.string(),
  name: z.string(),
  /** The first characters, so that a person can tell keys apart. */
  prefix: z.string(),
  scopes: z.array(Scope),
  models: z.array(z.string()).nullable(),
  state: z.enum(['valid', 'disabled', 'expired', 'revoked']),
  createdAtMs: epochMs,
  expiresAtMs: epochMs.nullable(),
  lastUsedAtMs: epochMs.nullable(),
});
export type KeyView = z.infer<typeof KeyView>;

/** The secret is shown here and never again. */
export const IssuedKey = z.object({ key: z.string(), view: KeyView });
export type IssuedKey = z.infer<typeof IssuedKey>;

export const NewToken = z.strictObject({
  label: z.union([DisplayName, z.literal('')]).default(''),
  group: GroupName.default('default'),
  ttlSeconds: z
    .number()
    .int()
    .min(60)
    .max(7 * 24 * 3_600)
    .default(3_600),
  maxUses: z.number().int().min(1).max(50).default(1),
  /** A token that lasts longer than a day, or lets more than one machine in, needs it whatever is said here. */
  needsApproval: z.boolean().default(false),
});
export type NewToken = z.input<typeof NewToken>;

export const TokenView = z.object({
  id: z.string(),
  label: z.string(),
  group: z.string(),
  state: z.enum(['valid', 'used', 'expired', 'revoked']),
  createdBy: z.string(),
  createdAtMs: epochMs,
  expiresAtMs: epochMs,
  maxUses: z.number().int(),
  usesLeft: z.number().int(),
  needsApproval: z.boolean(),
  refusedUses: z.number().int(),
});
export type TokenView = z.infer<typeof TokenView>;

export const IssuedToken = z.object({ token: z.string(), view: TokenView });
export type IssuedToken = z.infer<typeof IssuedToken>;

export const NodeChange = z
  .strictObject({
    name: DisplayName.optional(),
    group: GroupName.optional(),
    /** Takes no new work, finishes what it has. */
    isDraining: z.boolean().optional(),
    /** Stay in memory however long nobody asks for them. */
    pinnedModels: z.array(ListedName).max(100).optional(),
    /** Null takes the wish back. The owner of the machine has the last word. */
    gaming: z
      .strictObject({
        mode: z.enum(GAMING_MODES),
        /** By the coordinator's clock. */
        untilMs: epochMs.nullable().default(null),
        /** From when the coordinator is asked; for callers whose clock may be another. Wins over `untilMs`. */
        forSeconds: z.number().int().positive().max(MAX_SPAN_SECONDS).optional(),
      })
      .nullable()
      .optional(),
  })
  .refine(isChange, 'nothing to change');
export type NodeChange = z.input<typeof NodeChange>;

/** A machine that has enrolled, as the operator manages it; what it can do right now is NodeView. */
export const NodeEntry = z.object({
  id: z.string(),
  name: z.string(),
  group: z.string(),
  state: z.enum(['pending', 'approved', 'revoked', 'locked']),
  stateReason: z.string().nullable(),
  /** Of its public key; the node shows the same words. */
  fingerprint: z.string(),
  createdAtMs: epochMs,
  /** Of the registration token that it joined with; absent from coordinators before 2026-12. */
  tokenId: z.string().nullable().optional(),
  lastConnectedAtMs: epochMs.nullable(),
  lastAddress: z.string().nullable(),
  /** Plain: it came over a network without encryption. */
  lastTransport: z.enum(['tls', 'loopback', 'plain']).nullable(),
  /** What operators want of it; what it does is in its snapshot. */
  desired: NodeDesired,
});
export type NodeEntry = z.infer<typeof NodeEntry>;

// What a node's models can be told; the words are the protocol's.

const unnumbered = { commandId: true } as const;
export const NodeCommand = z.discriminatedUnion('type', [
  ModelLoad.omit(unnumbered).strict(),
  ModelUnload.omit(unnumbered).strict(),
  ModelPullCommand.omit(unnumbered).strict(),
  ModelDelete.omit(unnumbered).strict(),
]);
export type NodeCommand = z.infer<typeof NodeCommand>;

const bytes = z.number().nonnegative().nullable();
/** A line of the answer: `started` first, then any number of `progress`, then one `done` or `failed`. */
export const NodeCommandEvent = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('started'), commandId: z.string() }),
  z.object({ kind: z.literal('progress'), stage: z.string(), completedBytes: bytes, totalBytes: bytes }),
  z.object({ kind: z.literal('done') }),
  /** `detail` is in the engine's own words. */
  z.object({ kind: z.literal('failed'), code: z.string(), message: z.string(), detail: z.string().nullable() }),
]);
export type NodeCommandEvent = z.infer<typeof NodeCommandEvent>;

/** Long enough that guessing is hopeless at the pace that is allowed; short enough that hashing it costs nothing more. */
const Password = z.string().min(10, '10 characters or more').max(256);
const UserName = z.string().regex(/^[a-z0-9][a-z0-9._@-]{0,63}$/, 'small letters, digits, dot, underscore, at and dash');
export const UserRole = z.enum(['admin', 'viewer']);
export type UserRole = z.infer<typeof UserRole>;

export const SetupRequest = z.strictObject({ token: z.string().max(64), name: UserName, password: Password });
export type SetupRequest = z.infer<typeof SetupRequest>;

export const SignInRequest = z.strictObject({
  name: z.string().max(64),
  password: z.string().max(256),
  /** For 30 days, however seldom it is used: for a screen on the wall. Only of those who may look and nothing else. */
  stay: z.boolean().optional(),
});
export type SignInRequest = z.infer<typeof SignInRequest>;

export const PasswordChange = z.strictObject({ current: z.string().max(256), next: Password });
export type PasswordChange = z.infer<typeof PasswordChange>;

export const NewUser = z.strictObject({ name: UserName, password: Password, role: UserRole.default('viewer') });
export type NewUser = z.input<typeof NewUser>;

export const UserChange = z
  .strictObject({ role: UserRole.optional(), isEnabled: z.boolean().optional(), password: Password.optional() })
  .refine(isChange, 'nothing to change');
export type UserChange = z.infer<typeof UserChange>;

export const UserView = z.object({
  id: z.string(),
  name: z.string(),
  role: UserRole,
  isEnabled: z.boolean(),
  createdAtMs: epochMs,
  lastSignInAtMs: epochMs.nullable(),
});
export type UserView = z.infer<typeof UserView>;

/** Who asks: somebody who has signed in, or a key. */
export const WhoAmI = z.object({ name: z.string(), scopes: z.array(Scope), user: UserView.nullable() });
export type WhoAmI = z.infer<typeof WhoAmI>;

export const SessionView = z.object({
  /** Names it; does not open anything. */
  id: z.string(),
  userId: z.string(),
  address: z.string(),
  browser: z.string(),
  startedAtMs: epochMs,
  lastSeenAtMs: epochMs,
  isCurrent: z.boolean(),
});
export type SessionView = z.infer<typeof SessionView>;

export const AuditEntry = z.object({
  seq: z.number().int(),
  atMs: epochMs,
  actor: z.string(),
  action: z.string(),
  object: z.string(),
  detail: z.record(z.string(), z.unknown()),
  origin: z.string(),
  hash: z.string(),
});
export type AuditEntry = z.infer<typeof AuditEntry>;

export const AuditVerdict = z.object({
  isIntact: z.boolean(),
  entries: z.number().int(),
  /** Hash of the newest entry: kept elsewhere, it proves later that nothing was cut off the end. */
  head: z.string(),
  problem: z.string().nullable(),
});
export type AuditVerdict = z.infer<typeof AuditVerdict>;

// Why a request went where it went; kept for a day.

const ms = z.number().nullable();

export const ExplainedCandidate = z.object({
  node: z.string(),
  model: z.string(),
  action: z.enum(['run', 'wait', 'load', 'drain']),
  /** Expected milliseconds to the first token, in all and by part. */
  expectedMs: z.number(),
  parts: z.record(z.string(), z.number()),
});

export const ExplainedRefusal = z.object({
  node: z.string(),
  model: z.string().nullable(),
  reason: z.string(),
  detail: z.string(),
});

export const ExplainedPlacement = z.object({ candidates: z.array(ExplainedCandidate), refusals: z.array(ExplainedRefusal) });
export type ExplainedPlacement = z.infer<typeof ExplainedPlacement>;

export const Explanation = z.object({
  requestId: z.string(),
  keyId: z.string(),
  route: z.string(),
  target: z.object({ model: z.string(), capabilities: z.array(z.string()), contextTokens: z.number() }),
  priority: z.string(),
  enqueuedAtMs: z.number(),
  queueMs: ms,
  endedAtMs: z.number(),
  outcome: z.string(),
  attempts: z.array(
    z.object({
      node: z.string(),
      model: z.string(),
      startedAtMs: z.number(),
      outcome: z.string(),
      placement: ExplainedPlacement.nullable(),
    }),
  ),
  /** The steps of its route; absent from requests of before there were routes. */
  way: z
    .object({
      asked: z.string(),
      /** Which rule decided, in words. */
      because: z.string(),
      /** The step that answered, or was tried last. */
      step: z.string().nullable(),
      left: z.array(z.object({ step: z.string(), reason: z.string(), detail: z.string() })),
    })
    .optional(),
  /** What stood in the way, of a request that never got a slot. */
  lastPlacement: ExplainedPlacement.nullable(),
});
export type Explanation = z.infer<typeof Explanation>;
