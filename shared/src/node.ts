import { z } from 'zod';
import { FailureCode } from './attempt.ts';
import { UpdateReport } from './release.ts';

/** Every word is open on the wire: an older coordinator must still show a newer agent's node, and take what it does not know for the safest. */
export const RUNTIME_KINDS = ['ollama', 'llama-server', 'vllm', 'lmstudio', 'mlx', 'mock'] as const;
export type RuntimeKind = (typeof RUNTIME_KINDS)[number];

export const CAPABILITIES = [
  'chat',
  'completion',
  'embedding',
  'vision',
  'tools',
  'json',
  'thinking',
  'audio',
  'rerank',
] as const;
export type Capability = (typeof CAPABILITIES)[number];

const count = z.number().int().nonnegative();
/** A reading that the machine may not be able to give; `null` means "not known", never "zero". */
const reading = z.number().nonnegative().nullable();
const epochMs = z.number().int().nonnegative();

export const Gpu = z.object({
  id: z.string(),
  name: z.string(),
  vendor: z.enum(['nvidia', 'amd', 'apple', 'intel', 'simulated', 'unknown']).catch('unknown'),
  /** True when total/free are the machine's shared memory (Apple silicon, GB10), of which the GPU may use this share. */
  isUnifiedMemory: z.boolean(),
  /** The card is known and does not answer any more; it is shown, and its memory counts for nothing. Absent: it answers. */
  isLost: z.boolean().optional(),
  vramTotalBytes: reading,
  vramUsedBytes: reading,
  vramFreeBytes: reading,
  /** 0 to 1. */
  utilization: reading,
  temperatureCelsius: reading,
  powerWatts: reading,
  driverVersion: z.string().nullable(),
});
export type Gpu = z.infer<typeof Gpu>;

/**
 * cold (on disk) → loading → warm → draining → unloading → cold; `failed` is cold with a reason and clears on the next try. A word that
 * only a newer agent knows is read as `unloading`: the model is there, and nobody may use, load or count on it.
 */
export const ModelState = z.enum(['cold', 'loading', 'warm', 'draining', 'unloading', 'failed']).catch('unloading');
export type ModelState = z.infer<typeof ModelState>;

export const ModelFailure = z.object({ code: FailureCode, message: z.string(), atMs: epochMs });
export type ModelFailure = z.infer<typeof ModelFailure>;

export const LoadedModel = z.object({
  /** The name the node's runtime knows the model by, e.g. `llama3.2:3b`. */
  id: z.string().min(1).max(512),
  runtime: z.string(),
  state: ModelState,
  capabilities: z.array(z.string()),
  contextLength: z.number().int().positive().nullable(),
  /** Bytes on disk; what a load needs at least. */
  sizeBytes: reading,
  /** Bytes that the context it is loaded with takes beside the weights. Null when not known; absent from agents of before. */
  contextBytes: reading.optional(),
  /** Bytes of GPU memory held now; 0 when it runs on the CPU. */
  vramBytes: reading,
  /** How many requests it runs side by side. */
  slots: count,
  inFlight: count,
  isPinned: z.boolean(),
  /** When the runtime will unload it by itself; null when never or not known. */
  expiresAtMs: epochMs.nullable(),
  failure: ModelFailure.nullable(),
  /** Models with the same word are one copy in memory under several names: they share its memory, its state and its slots. */
  sharedAs: z.string().max(512).optional(),
});
export type LoadedModel = z.infer<typeof LoadedModel>;

export const RuntimeReport = z.object({
  kind: z.string(),
  version: z.string().nullable(),
  /** A word that only a newer agent knows: not ready, for a reason unknown. */
  state: z.enum(['starting', 'ready', 'stopped', 'failed']).catch('starting'),
  /** `adopted`: it was running before us and we never kill it. `owned`: we started it. Unknown words promise nothing either. */
  mode: z.enum(['adopted', 'owned']).catch('adopted'),
  /** True for the mock runtime. Everything that shows this runtime's answers must say so. */
  isSimulated: z.boolean(),
  /** Keeps in main memory what a GPU has no room for, and is slow then, instead of failing. Absent: it does not. */
  spillsToMemory: z.boolean().optional(),
  detail: z.string().nullable(),
});
export type RuntimeReport = z.infer<typeof RuntimeReport>;

/** An engine that is on the machine, as far as one can see, and cannot be used: what stands in the way is said to people. */
export const EngineObstacle = z.object({
  runtime: z.string().max(64),
  /** `no_model_files`, `auth` (it wants a key), `too_old`. Open word. */
  reason: z.string().max(64),
  /** The folder or the address. */
  where: z.string().max(1_024),
  detail: z.string().max(512).nullable(),
});
export type EngineObstacle = z.infer<typeof EngineObstacle>;

/** A reason the node takes no work. Holds are a set: the node is free again when the last one goes. */
export const Hold = z.object({
  kind: z.string(),
  cause: z.string(),
  sinceMs: epochMs,
  untilMs: epochMs.nullable(),
});
export type Hold = z.infer<typeof Hold>;

/**
 * A model on its way onto the node's disk. In snapshots it is as old as they are; `command.progress` is the faster news. Bytes are
 * null while the engine has not said.
 */
export const ModelPull = z.object({
  model: z.string().min(1).max(512),
  runtime: z.string(),
  completedBytes: reading,
  totalBytes: reading,
});
export type ModelPull = z.infer<typeof ModelPull>;

export const GAMING_MODES = ['on', 'off', 'auto'] as const;

/** What somebody wants of gaming mode: always, never, or as the machine sees fit. At `untilMs` the wish ends and `auto` is back. */
export const GamingWish = z.object({
  mode: z.enum(GAMING_MODES).catch('auto'),
  /** By the clock of whoever wishes; names the wish. */
  untilMs: epochMs.nullable(),
  /** What is left of it as this is sent, as clocks differ between machines. Absent from coordinators of before. */
  leftMs: count.nullable().optional(),
});
export type GamingWish = z.infer<typeof GamingWish>;

/** Gaming mode as it is. While it is active there is a hold of kind `gaming` with the same cause. */
export const GamingReport = z.object({
  mode: GamingWish.shape.mode,
  /** Whose wish the mode is: `owner` (at the machine), `operator` (over the coordinator) or `default` (nobody's). Open word. */
  setBy: z.string(),
  untilMs: epochMs.nullable(),
  isActive: z.boolean(),
  cause: z.string().nullable(),
  /** Requests that force it are served all the same. */
  allowsForced: z.boolean(),
  /** What operators wish counts here; absent from agents before 2026-12, of which it is not known. */
  obeysOperator: z.boolean().optional(),
});
export type GamingReport = z.infer<typeof GamingReport>;

/**
 * How the GPU is being given back, step by step, oldest first. Steps are open words; ours: `finishing` (requests may still end by
 * themselves), `canceling`, `unloading`, `verifying` (is the memory really free?), `stopping_engine`, `freed`, `stuck`, `returning`.
 */
export const Preemption = z.object({
  step: z.string(),
  sinceMs: epochMs,
  steps: z.array(z.object({ step: z.string(), atMs: epochMs, detail: z.string().nullable() })),
});
export type Preemption = z.infer<typeof Preemption>;

/**
 * Everything a node observes about itself, whole, every time: losing one message costs nothing. Written by the agent alone.
 */
export const NodeSnapshot = z.object({
  name: z.string().min(1).max(64),
  /** Grows with every snapshot of one agent process; tells an old one from a new one. */
  sequence: count,
  takenAtMs: epochMs,
  agentVersion: z.string(),
  os: z.object({ platform: z.string(), release: z.string(), arch: z.string() }),
  runtimes: z.array(RuntimeReport),
  /** Absent when there are none, and from agents of before they were told. */
  obstacles: z.array(EngineObstacle).max(16).optional(),
  gpus: z.array(Gpu),
  memory: z.object({ totalBytes: count, freeBytes: count }),
  /** Free bytes where the runtime keeps its models; null when not known. */
  modelDiskFreeBytes: reading,
  models: z.array(LoadedModel),
  /** Downloads under way. Absent from agents of before they were told. */
  pulls: z.array(ModelPull).optional(),
  holds: z.array(Hold),
  /** What of this snapshot was left out, and why, for people. Absent when nothing was. */
  troubles: z.array(z.string().max(500)).max(64).optional(),
  /** Absent from agents of before gaming mode. */
  gaming: GamingReport.optional(),
  preemption: Preemption.nullable().optional(),
  /** Absent from agents that cannot update themselves. */
  update: UpdateReport.optional(),
  /** Upper bound of attempts on the whole machine, over all models. */
  maxConcurrent: count,
  inFlight: count,
});
export type NodeSnapshot = z.infer<typeof NodeSnapshot>;

/** What the operator wants of a node. Written by the coordinator alone; the agent obeys as far as its local policy allows. */
export const NodeDesired = z.object({
  generation: count,
  isDraining: z.boolean(),
  pinnedModels: z.array(z.string()),
  /** Absent: the operator has no wish. The owner's policy on the machine may ignore it. */
  gaming: GamingWish.optional(),
});
export type NodeDesired = z.infer<typeof NodeDesired>;

export const isSimulated = (snapshot: NodeSnapshot, runtime: string): boolean =>
  snapshot.runtimes.some((r) => r.kind === runtime && r.isSimulated);

/**
 * What may be a model's name in a command: letters, digits and `._:@+/-`, no empty or dotted segment, so that it cannot become a path,
 * an option or a second line anywhere. Whether the node has or wants such a model is another question.
 */
export const ModelName = z
  .string()
  .max(512)
  .regex(/^(?!.*(?:\/\/|(?:^|\/)\.))[A-Za-z0-9][A-Za-z0-9._:@+/-]*(?<!\/)$/, 'not a model name');

/** A name as some node lists it, a path or any language included: for wishes, which are only compared and shown. One line of text. */
export const ListedName = z
  .string()
  .min(1)
  .max(512)
  .regex(/^[^\p{Cc}\p{Cs}\u2028\u2029]+$/u, 'not a model name: it has a line break or another control character');
