import type { PriorityClass } from '../../../coordinator/src/scheduler/fairness.ts';

/** Everything that a run is made of, drawn from the seed before it begins. Plain data, so that a failing run can be made smaller. */
export interface Plan {
  readonly seed: number;
  readonly profile: string;
  readonly replicas: number;
  readonly nodes: readonly NodePlan[];
  readonly steps: readonly Step[];
}

export interface NodePlan {
  readonly id: string;
  readonly maxConcurrent: number;
  /** Null: the machine cannot tell. */
  readonly vramBytes: number | null;
  /** How much later than the truth its GPU's readings are. */
  readonly readingLagMs: number;
  readonly models: readonly ModelPlan[];
}

export interface ModelPlan {
  readonly id: string;
  readonly sizeBytes: number;
  /** What a load really takes, as a multiple of the size. */
  readonly needFactor: number;
  readonly slots: number;
  readonly isWarm: boolean;
  readonly loadMs: number;
  readonly prefillMs: number;
  readonly tokenMs: number;
}

export interface RequestPlan {
  readonly id: string;
  /** The replica whose door it comes to; another one if that is dead. */
  readonly replica: number;
  readonly key: string;
  readonly priorityClass: PriorityClass;
  readonly model: string;
  /** Same text, same request. */
  readonly text: string;
  readonly tokens: number;
  readonly poison: 'engine' | 'machine' | null;
  /** How likely the engine reports an error instead of answering. */
  readonly failChance: number;
  readonly queueMs: number;
  readonly totalMs: number;
  /** The client goes away after this; null when it stays. */
  readonly abortAfterMs: number | null;
  /** The client pauses for so long after each piece that it reads. */
  readonly readPauseMs: number;
}

export type Step = { readonly atMs: number } & (
  | { readonly kind: 'request'; readonly request: RequestPlan }
  | { readonly kind: 'redis.down'; readonly forMs: number; readonly memory: 'kept' | 'lost' | 'older' }
  | { readonly kind: 'redis.remember' }
  | { readonly kind: 'redis.hang' | 'redis.slow'; readonly forMs: number }
  | { readonly kind: 'redis.cut'; readonly replica: number; readonly forMs: number }
  | { readonly kind: 'replica.kill' | 'replica.freeze'; readonly replica: number; readonly forMs: number }
  | { readonly kind: NodeFault; readonly node: number; readonly forMs: number }
  | { readonly kind: 'node.foreign-memory'; readonly node: number; readonly forMs: number; readonly share: number }
);

/**
 * `kill`: the machine's processes die, another instance comes back. `power`: the same without a word on the wire. `drop`: the connection
 * breaks. `partition`: silence, both ways. `freeze`: SIGSTOP or sleep. `hold`: the owner plays. `crash`: the engine alone dies. `stall`:
 * the engine says nothing. `unload`: models leave memory. `bad-loads`: loads fail.
 */
export type NodeFault =
  | 'node.kill'
  | 'node.power'
  | 'node.drop'
  | 'node.partition'
  | 'node.freeze'
  | 'node.hold'
  | 'node.crash'
  | 'node.stall'
  | 'node.unload'
  | 'node.bad-loads';

export const GIB = 1024 ** 3;
