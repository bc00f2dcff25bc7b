import { z } from 'zod';
import type { VramLedger } from './vram-ledger.ts';

export const DIALECTS = ['ollama', 'llama-server', 'vllm'] as const;
export type DialectName = (typeof DIALECTS)[number];

const ms = z.number().nonnegative();

/** Everything that can be turned while the engine runs (`POST /_mock/set`). */
export const Tuning = z.object({
  /** Tokens per second of one stream; 0 = as fast as possible; null = what each model's spec says. */
  tps: z.number().nonnegative().nullable(),
  /** Share of a token's interval by which it may come early or late, 0 to 1. */
  jitter: z.number().min(0).max(1),
  prefillMs: ms,
  prefillMsPer1kTokens: ms,
  coldLoadMsPerGb: ms,
  unloadMs: ms,
  /** How long the GPU's own reading goes on showing memory that was given back. */
  vramLagMs: ms,
  /** Length of an answer when the request sets no limit. */
  naturalTokens: z.number().int().positive(),
  /** A limit above this is not a wish for that many tokens: coding agents send 32,000 by habit. */
  longestTokens: z.number().int().positive(),
  chunking: z.enum(['natural', 'split', 'coalesce']),
  tickMs: z.number().positive(),
  pullBytesPerSecond: z.number().positive(),
  /** 0 = no limit. */
  maxLoadedModels: z.number().int().nonnegative(),
  /** How many requests may wait for models that are not warm. */
  maxQueue: z.number().int().nonnegative(),
  /** How long an idle model stays; null = for ever. */
  keepAliveMs: ms.nullable(),
  /** Loads happen on the CPU, as after a suspend that lost the GPU. */
  isCpuOnly: z.boolean(),
  whenTooBig: z.enum(['partial', 'fail']),
});
export type Tuning = z.infer<typeof Tuning>;

/** Close to what was measured on small machines, but quick enough for tests; each dialect adds its own. */
export const DEFAULT_TUNING: Tuning = {
  tps: null,
  jitter: 0,
  prefillMs: 30,
  prefillMsPer1kTokens: 0,
  coldLoadMsPerGb: 800,
  unloadMs: 50,
  vramLagMs: 500,
  naturalTokens: 64,
  longestTokens: 1024,
  chunking: 'natural',
  tickMs: 5,
  pullBytesPerSecond: 200_000_000,
  maxLoadedModels: 0,
  maxQueue: 512,
  keepAliveMs: 300_000,
  isCpuOnly: false,
  whenTooBig: 'fail',
};

export const MOCK_CAPABILITIES = ['chat', 'completion', 'embedding', 'vision', 'tools', 'json', 'thinking'] as const;

export const ModelSpec = z.object({
  name: z.string().min(1),
  sizeBytes: z.number().int().positive(),
  /** Parallel requests; absent = what the real engine does by default. */
  slots: z.number().int().positive().optional(),
  tps: z.number().nonnegative().default(60),
  contextLength: z.number().int().positive().default(8192),
  capabilities: z.array(z.enum(MOCK_CAPABILITIES)).default(['chat', 'completion', 'json']),
  dimensions: z.number().int().positive().default(384),
  /** False: known to the registry only, so that it can be pulled. */
  isPresent: z.boolean().default(true),
  /** Warm from the start, without waiting for a load. */
  isWarm: z.boolean().default(false),
});
export type ModelSpec = z.infer<typeof ModelSpec>;

export interface MockEngineOptions {
  readonly dialect: DialectName;
  /** Shown in every answer: `[simulated on NAME]`. */
  readonly name?: string;
  readonly port?: number;
  readonly vramGb?: number;
  /** Engines on one simulated GPU share one ledger. */
  readonly gpu?: VramLedger;
  /** The compact form (see model-spec.ts) or specs. */
  readonly models: string | readonly z.input<typeof ModelSpec>[];
  readonly tuning?: Partial<Tuning>;
  /** Lets requests carry their own faults in a header or in the prompt. */
  readonly allowFaults?: boolean;
  /** llama-server only: one model, loaded at start, the `model` field ignored. */
  readonly isSingleModel?: boolean;
  /** llama-server only: after that long idle a model sleeps. */
  readonly sleepIdleMs?: number;
  /** The simulated process ends (crash, exit): the program exits, a test looks. */
  readonly onExit?: (code: number) => void;
}
