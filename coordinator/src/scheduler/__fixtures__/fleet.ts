import type { Gpu, LoadedModel, NodeSnapshot } from '@lai/shared/node';
import type { Target } from '../../routing/target.ts';
import { type FleetNode, type LearnedFigures, nothingLearned } from '../fleet.ts';

/** A fleet as the tests of this room draw it: everything is fine unless a test says otherwise. */

export const GIB = 1024 ** 3;
export const NOW_MS = 1_795_241_344_000;

export const model = (id: string, facts: Partial<LoadedModel> = {}): LoadedModel => ({
  id,
  runtime: 'ollama',
  state: 'warm',
  capabilities: ['chat', 'completion', 'json', 'tools'],
  contextLength: 4_096,
  sizeBytes: 2 * GIB,
  vramBytes: null,
  slots: 1,
  inFlight: 0,
  isPinned: false,
  expiresAtMs: null,
  failure: null,
  ...facts,
});

export const gpu = (facts: Partial<Gpu> = {}): Gpu => ({
  id: 'gpu-0',
  name: 'NVIDIA GeForce RTX 3070',
  vendor: 'nvidia',
  isUnifiedMemory: false,
  vramTotalBytes: 8 * GIB,
  vramUsedBytes: 0,
  vramFreeBytes: 8 * GIB,
  utilization: 0,
  temperatureCelsius: 40,
  powerWatts: 20,
  driverVersion: '581.57',
  ...facts,
});

export const snapshot = (facts: Partial<NodeSnapshot> = {}): NodeSnapshot => ({
  name: 'attic',
  sequence: 1,
  takenAtMs: NOW_MS,
  agentVersion: '0.1.0',
  os: { platform: 'linux', release: '6', arch: 'x64' },
  runtimes: [],
  gpus: [gpu()],
  memory: { totalBytes: 32 * GIB, freeBytes: 16 * GIB },
  modelDiskFreeBytes: null,
  models: [],
  holds: [],
  maxConcurrent: 16,
  inFlight: 0,
  ...facts,
});

export interface NodeFacts extends Partial<Omit<FleetNode, 'snapshot' | 'leased' | 'figures'>> {
  readonly epoch?: number;
  readonly snapshot?: Partial<NodeSnapshot>;
  /** Slots taken, by model id. */
  readonly leased?: Readonly<Record<string, number>>;
  readonly figures?: Readonly<Record<string, Partial<LearnedFigures>>>;
}

/** The node's id is `node_` and its name. */
export const node = (name: string, models: readonly LoadedModel[], facts: NodeFacts = {}): FleetNode & { readonly epoch: number } => {
  const { leased = {}, figures = {}, snapshot: parts, ...rest } = facts;
  const byModel = new Map(Object.entries(leased));
  return {
    nodeId: `node_${name}`,
    epoch: 1,
    liveness: 'alive',
    snapshot: snapshot({ name, models: [...models], ...parts }),
    leased: { total: [...byModel.values()].reduce((sum, count) => sum + count, 0), byModel },
    isContested: () => false,
    loading: new Map(),
    isReserved: false,
    coolingUntilMs: () => 0,
    loadBars: new Map(),
    shortageBytes: () => null,
    isSettled: true,
    isWanted: () => false,
    roomFor: null,
    figures: (id) => ({ ...nothingLearned, ...figures[id] }),
    ...rest,
  };
};

export const target = (facts: Partial<Target> = {}): Target => ({ model: 'm', capabilities: ['chat'], contextTokens: 0, ...facts });
