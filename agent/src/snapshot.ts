import type { GamingReport, Gpu, Hold, LoadedModel, ModelPull, NodeSnapshot, Preemption, RuntimeReport } from '@lai/shared/node';
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

/** Pure. A model of a runtime that is not ready cannot be asked for, so it is not shown. */
export const takeSnapshot = (parts: SnapshotParts): NodeSnapshot => {
  const ready = new Set(parts.runtimes.filter((runtime) => runtime.state === 'ready').map((runtime) => runtime.kind));
  return {
    name: parts.name,
    sequence: parts.sequence,
    takenAtMs: parts.takenAtMs,
    agentVersion: parts.agentVersion,
    os: parts.os,
    runtimes: [...parts.runtimes],
    gpus: [...parts.gpus],
    memory: parts.memory,
    modelDiskFreeBytes: parts.modelDiskFreeBytes,
    models: parts.models.filter((model) => ready.has(model.runtime)),
    ...(parts.pulls && parts.pulls.length > 0 ? { pulls: [...parts.pulls] } : {}),
    holds: [...parts.holds],
    gaming: parts.gaming,
    preemption: parts.preemption,
    ...(parts.update ? { update: parts.update } : {}),
    maxConcurrent: parts.maxConcurrent,
    inFlight: parts.inFlight,
  };
};
