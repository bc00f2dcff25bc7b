import type { JobData } from '../../../coordinator/src/dispatch/job-queue.ts';

/** What Redis knows. Plain data: a crash may bring back an earlier copy of it. */
export interface RedisData {
  /** By node: the newest connection's epoch. */
  readonly epochs: Map<string, number>;
  /** By node and epoch, and by node, epoch and model: lease → expiry (ms). */
  readonly leases: Map<string, Map<string, number>>;
  readonly strikes: Map<string, { count: number; untilMs: number }>;
  readonly strikesTold: Set<string>;
  /** By model: who has asked for a cold load. */
  readonly loadClaims: Map<string, { readonly replicaId: string; readonly untilMs: number }>;
  readonly queues: Map<string, QueueData>;
  /** By node: what its owner wrote last. */
  readonly records: Map<string, { readonly record: unknown; readonly epoch: number; readonly untilMs: number }>;
  /** By replica: when it was last heard of. */
  readonly replicas: Map<string, number>;
  memory: string | null;
}

export interface QueueData {
  readonly jobs: Map<string, QueuedJob>;
  order: number;
  nextStallCheckAtMs: number;
}

export interface QueuedJob {
  readonly id: string;
  readonly data: JobData;
  readonly priority: number;
  /** Among equals the first is the first. */
  order: number;
  state: 'waiting' | 'taken' | 'done';
  token: string | null;
  lockedUntilMs: number;
  /** Found without a lock once; the second time it is put back. */
  isSuspect: boolean;
  doneAtMs: number;
}

export const emptyData = (): RedisData => ({
  epochs: new Map(),
  leases: new Map(),
  strikes: new Map(),
  strikesTold: new Set(),
  loadClaims: new Map(),
  queues: new Map(),
  records: new Map(),
  replicas: new Map(),
  memory: null,
});
