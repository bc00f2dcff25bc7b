import {
  type EngineObstacle,
  type GamingReport,
  type Gpu,
  type Hold,
  type LoadedModel,
  type ModelPull,
  NodeSnapshot,
  type Preemption,
  type RuntimeReport,
} from '@lai/shared/node';
import { STATUS_LIMIT_BYTES } from '@lai/shared/protocol/codec';
import { readForgivingly } from '@lai/shared/protocol/forgiving';
import type { UpdateReport } from '@lai/shared/release';

/** Everything a snapshot is made of, already read. */
export interface SnapshotParts {
  readonly name: string;
  readonly sequence: number;
  readonly takenAtMs: number;
  readonly agentVersion: string;
  readonly os: NodeSnapshot['os'];
  readonly memory: NodeSnapshot['memory'];
  readonly modelDiskFreeBytes: number | null;
  readonly runtimes: readonly RuntimeReport[];
  readonly obstacles?: readonly EngineObstacle[];
  readonly gpus: readonly Gpu[];
  readonly models: readonly LoadedModel[];
  readonly pulls?: readonly ModelPull[];
  readonly holds: readonly Hold[];
  readonly gaming: GamingReport;
  readonly preemption: Preemption | null;
  readonly update?: UpdateReport | null;
  readonly maxConcurrent: number;
  readonly inFlight: number;
}

/**
 * Pure. A model of a runtime that is not ready cannot be asked for, so it is not shown. Whatever engines and sensors said, the result fits
 * the protocol and its size limit: what does not is left out and named in `troubles`.
 */
export const takeSnapshot = (parts: SnapshotParts): NodeSnapshot => {
  const ready = new Set(parts.runtimes.filter((runtime) => runtime.state === 'ready').map((runtime) => runtime.kind));
  const { obstacles = [], pulls = [], update, models, memory, ...rest } = parts;
  const whole: NodeSnapshot = {
    ...rest,
    runtimes: [...parts.runtimes],
    ...(obstacles.length > 0 ? { obstacles: [...obstacles] } : {}),
    gpus: [...parts.gpus],
    holds: [...parts.holds],
    memory: { totalBytes: countOf(memory.totalBytes), freeBytes: countOf(memory.freeBytes) },
    models: models.filter((model) => ready.has(model.runtime)),
    ...(pulls.length > 0 ? { pulls: [...pulls] } : {}),
    ...(update ? { update } : {}),
  };
  const fitting = readForgivingly(NodeSnapshot, whole);
  if (!fitting) throw new Error('This snapshot cannot be told: its name or its counts do not fit the protocol.');
  return withinLimit(withTroubles(fitting.value, fitting.leftOut));
};

const countOf = (bytes: number): number => (Number.isSafeInteger(bytes) && bytes >= 0 ? bytes : 0);

const withTroubles = (snapshot: NodeSnapshot, troubles: readonly string[]): NodeSnapshot =>
  troubles.length === 0 ? snapshot : { ...snapshot, troubles: [...(snapshot.troubles ?? []), ...troubles] };

/** An engine may list thousands of models. Those in use are told first, then as many as there is room for, in the engine's order. */
const withinLimit = (snapshot: NodeSnapshot): NodeSnapshot => {
  if (bytesOf(snapshot) <= STATUS_LIMIT_BYTES) return snapshot;
  const { models } = snapshot;
  const isUsed = ({ state, inFlight, isPinned }: LoadedModel) => state !== 'cold' || inFlight > 0 || isPinned;
  let roomBytes = STATUS_LIMIT_BYTES - TROUBLE_BYTES - bytesOf({ ...snapshot, models: [] });
  const told = new Set<LoadedModel>();
  for (const model of [...models.filter(isUsed), ...models.filter((other) => !isUsed(other))]) {
    roomBytes -= bytesOf(model) + 1;
    if (roomBytes < 0) break;
    told.add(model);
  }
  const trouble = `${models.length - told.size} of ${models.length} models are not shown: a node tells at most ${STATUS_LIMIT_BYTES / 1024} KiB at once.`;
  return withTroubles({ ...snapshot, models: models.filter((model) => told.has(model)) }, [trouble]);
};

/** For the sentence about what was left out. */
const TROUBLE_BYTES = 1_024;
const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));
