import { z } from 'zod';
import { NewToken, TokenView } from './admin-api.ts';
import { ReleaseVersion, UpdateReport } from './release.ts';

/** Shapes of the management API about installing and updating agents: the line that is pasted on a machine, releases, and their rollout. */

export const JOIN_SYSTEMS = ['linux', 'macos', 'windows'] as const;
export type JoinSystem = (typeof JOIN_SYSTEMS)[number];

/** A coordinator's base URL. Of harmless characters only, because it becomes part of shell scripts. */
export const BaseUrl = z
  .string()
  .max(300)
  .regex(
    /^https?:\/\/(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?(?:\/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*\/?$/,
    'expected something like https://lai.example.org',
  )
  // Ports and IPv6 addresses that are none.
  .refine((url) => URL.canParse(url), 'is no URL')
  .transform((url) => url.replace(/\/$/, ''));

export const NewJoinCommand = NewToken.extend({
  /** `all`: a line for each system, with one token between them. */
  os: z.enum([...JOIN_SYSTEMS, 'all']),
  /** How the machine reaches the coordinator; without it as the coordinator is configured, else as it was asked. */
  url: BaseUrl.optional(),
  /** An address without encryption on another machine is meant: the one who asks trusts the network in between. */
  isInsecure: z.boolean().default(false),
  /** Of the one who pastes it, without rights over the machine; else of the whole machine. */
  isForUser: z.boolean().default(false),
  /** Only says what would be done; makes no token. */
  isDryRun: z.boolean().default(false),
}).refine(({ os, isForUser }) => !(isForUser && os === 'windows'), {
  path: ['isForUser'],
  error: 'on Windows there is no agent for one user alone',
});
export type NewJoinCommand = z.input<typeof NewJoinCommand>;

/** For one system: the line, or why there is none. */
const JoinLine = z.object({ os: z.enum(JOIN_SYSTEMS), command: z.string().nullable(), problem: z.string().nullable() });

export const JoinCommand = z.object({
  os: z.enum([...JOIN_SYSTEMS, 'all']),
  /** To be pasted on the machine. Holds the token: shown once. Of `all`: the first there is. */
  command: z.string(),
  /** One for each system that was asked for; absent from coordinators before 2026-12. */
  commands: z.array(JoinLine).optional(),
  /** Null for a dry run. */
  token: TokenView.nullable(),
  /** What somebody should know before pasting it. */
  warnings: z.array(z.string()),
});
export type JoinCommand = z.infer<typeof JoinCommand>;

export const ReleaseView = z.object({
  version: z.string(),
  minimumVersion: z.string(),
  /** `os-arch` */
  platforms: z.array(z.string()),
  /** What machines that install get. */
  isLatest: z.boolean(),
});
export type ReleaseView = z.infer<typeof ReleaseView>;

const epochMs = z.number().int().nonnegative();

/**
 * `waiting`: its turn has not come, or it is away. `updating`: told, and not proved yet. `skipped`: cannot or may not be updated, which
 * stops nobody else.
 */
export const RolloutNode = z.object({
  nodeId: z.string(),
  name: z.string(),
  state: z.enum(['waiting', 'updating', 'done', 'skipped', 'failed']),
  /** Its version before. */
  from: z.string().nullable(),
  detail: z.string().nullable(),
});
export type RolloutNode = z.infer<typeof RolloutNode>;

/** One version on its way through the fleet: one node first, then the others. */
export const Rollout = z.object({
  id: z.string(),
  version: z.string(),
  isForced: z.boolean(),
  /** How many at once, after the first. */
  parallel: z.number().int(),
  state: z.enum(['running', 'done', 'stopped']),
  /** Why it was stopped. */
  reason: z.string().nullable(),
  startedBy: z.string(),
  startedAtMs: epochMs,
  endedAtMs: epochMs.nullable(),
  nodes: z.array(RolloutNode),
});
export type Rollout = z.infer<typeof Rollout>;

export const MAX_PARALLEL_UPDATES = 8;

export const NewRollout = z.strictObject({
  /** Without it: the newest. */
  version: ReleaseVersion.optional(),
  /** Also back to an older version, or to one that was taken back somewhere. */
  isForced: z.boolean().default(false),
  parallel: z.number().int().min(1).max(MAX_PARALLEL_UPDATES).default(1),
  /** Name or id of the node that goes first; without it the one that would be missed least. */
  first: z.string().min(1).max(64).optional(),
});
export type NewRollout = z.input<typeof NewRollout>;

/** A release that the coordinator makes, because a machine is to join and there is none for it. */
export const ReleaseInProgress = z.object({
  os: z.enum(JOIN_SYSTEMS),
  /** What is done now, a line for people. */
  step: z.string(),
  startedAtMs: epochMs,
});
export type ReleaseInProgress = z.infer<typeof ReleaseInProgress>;

export const UpdateStatus = z.object({
  /** Where releases are looked for. */
  releasesDir: z.string(),
  making: ReleaseInProgress.nullable().default(null),
  /** Newest first. */
  releases: z.array(ReleaseView),
  /** What lies there and is not offered, and why. */
  problems: z.array(z.string()),
  /** The one that runs, or the last one. */
  rollout: Rollout.nullable(),
  nodes: z.array(
    z.object({
      nodeId: z.string(),
      name: z.string(),
      liveness: z.enum(['alive', 'suspect', 'offline']),
      version: z.string(),
      update: UpdateReport.nullable(),
    }),
  ),
});
export type UpdateStatus = z.infer<typeof UpdateStatus>;
