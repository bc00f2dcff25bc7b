import { NodeSnapshot } from '@lai/shared/node';
import { ReleaseVersion } from '@lai/shared/release';
import { z } from 'zod';

/** The version of everything that this door and the CLI's `--json` say. Fields are added, never changed; a break counts up. */
export const LOCAL_VERSION = 1;

/** `GET /status`, and `lai-agent status --json`. */
export const LocalStatus = z.object({
  version: z.literal(LOCAL_VERSION),
  node: z.object({ name: z.string(), nodeId: z.string(), agentVersion: z.string(), pid: z.number() }),
  coordinator: z.object({
    url: z.string(),
    /** waiting, dialing, greeting, proving, open or refused. */
    state: z.string(),
    detail: z.string().nullable(),
  }),
  snapshot: NodeSnapshot,
  engines: z.array(
    z.object({
      name: z.string(),
      phase: z.string(),
      isOwned: z.boolean(),
      pid: z.number().nullable(),
      reason: z.string().nullable(),
      version: z.string().nullable(),
    }),
  ),
  /** What the machine cannot tell or do, for people; empty when all is well. */
  troubles: z.array(z.string()),
  process: z.object({
    uptimeMs: z.number(),
    rssBytes: z.number(),
    isKeepingAwake: z.boolean(),
    /** Longest pause of the event loop since it was last asked; null unless the agent was started to measure it. */
    eventLoopDelayMaxMs: z.number().nullable(),
  }),
});
export type LocalStatus = z.infer<typeof LocalStatus>;

/** `POST /gaming-mode`. With neither `for` nor `untilMs` the wish holds until the next one. */
export const GamingModeRequest = z.strictObject({
  mode: z.enum(['on', 'off', 'auto']),
  for: z.string().optional(),
  untilMs: z.number().int().positive().optional(),
});

export const DrainRequest = z.strictObject({ isDraining: z.boolean() });
/** `POST /update`. Without a version: the newest that the coordinator has. */
export const UpdateRequest = z.strictObject({ version: ReleaseVersion.optional(), isForced: z.boolean().default(false) });
export type UpdateRequest = z.infer<typeof UpdateRequest>;
export const PullRequest = z.strictObject({ model: z.string().min(1).max(512) });
