import { z } from 'zod';

/** What a request would ask for, for `What if`. Nothing runs. */
export const RoutePreviewQuestion = z.strictObject({
  /** As a client writes it; absent or empty means the default. */
  model: z.string().max(512).default(''),
  /** Prompt and requested output. */
  tokens: z.number().int().nonnegative().max(10_000_000).default(0),
  images: z.number().int().nonnegative().max(1_000).default(0),
  tools: z.number().int().nonnegative().max(10_000).default(0),
  isForced: z.boolean().default(false),
  isComplex: z.boolean().default(false),
  staysHome: z.boolean().default(false),
  /** Names of machines on which gaming mode is taken to be on. */
  gamingOn: z.array(z.string().max(64)).max(1_000).default([]),
});
export type RoutePreviewQuestion = z.infer<typeof RoutePreviewQuestion>;

export const RoutePreview = z.object({
  asked: z.string(),
  /** Which rule decides, in words. */
  because: z.string(),
  staysHome: z.boolean(),
  /** Steps in the order in which they are tried. */
  steps: z.array(
    z.object({
      name: z.string(),
      kind: z.enum(['fleet', 'provider']),
      /** What would happen there now: who would serve, or why the step would be left. */
      now: z.string(),
      /** A request would go on to the next step at once. */
      isLeft: z.boolean(),
    }),
  ),
  skipped: z.array(z.object({ name: z.string(), reason: z.string(), detail: z.string() })),
});
export type RoutePreview = z.infer<typeof RoutePreview>;

export const ProviderView = z.object({
  id: z.string(),
  name: z.string(),
  kind: z.string(),
  place: z.enum(['cloud', 'home']),
  isEnabled: z.boolean(),
  health: z.enum(['unknown', 'online', 'degraded', 'offline', 'misconfigured']),
  failuresInRow: z.number().int(),
  latencyMs: z.number().nullable(),
  /** Sentence of the last failure; null while all is well. */
  detail: z.string().nullable(),
  active: z.number().int(),
  maxConcurrent: z.number().int(),
  models: z.array(
    z.object({
      id: z.string(),
      capabilities: z.array(z.string()),
      contextLength: z.number().nullable(),
      inputPrice: z.number().nullable(),
      outputPrice: z.number().nullable(),
      isFree: z.boolean(),
    }),
  ),
});
export type ProviderView = z.infer<typeof ProviderView>;

/** Configuration files as they are in force. */
export const ConfigurationView = z.object({
  folder: z.string(),
  appliedAtMs: z.number().nullable(),
  /** Why the files as they are now are not in force, `file:line:column: what`; empty when they are. */
  refused: z.array(z.string()),
});
export type ConfigurationView = z.infer<typeof ConfigurationView>;
