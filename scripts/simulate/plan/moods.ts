import type { Step } from './plan.ts';

/** Kinds of trouble that a run is about. */
export const PROFILES = [
  'calm',
  'storm',
  'redis',
  'network',
  'machines',
  'replicas',
  'poison',
  'cold',
  'flood',
  'everything',
] as const;
export type Profile = (typeof PROFILES)[number];

export type FaultKind = Exclude<Step['kind'], 'request' | 'redis.remember'>;
/** How often each comes, beside the others. */
export type Faults = Readonly<Partial<Record<FaultKind, number>>>;

/** What runs of a profile have in common. Times between things are means. */
export interface Mood {
  readonly faults: Faults;
  readonly faultEveryMs: number;
  readonly requestEveryMs: number;
  readonly lastsMs: number;
  readonly poisonChance: number;
  readonly failChance: number;
  /** That a node has a model in memory. */
  readonly warmChance: number;
  readonly replicas: readonly number[];
  /** How long a request may take, at most. */
  readonly patienceMs: number;
}

const calm: Mood = {
  faults: {},
  faultEveryMs: Number.POSITIVE_INFINITY,
  requestEveryMs: 330,
  lastsMs: 7_500,
  poisonChance: 0,
  failChance: 0,
  warmChance: 0.8,
  replicas: [1, 1, 2, 3],
  patienceMs: 15_000,
};

const redisFaults: Faults = { 'redis.down': 3, 'redis.hang': 2, 'redis.slow': 1, 'redis.cut': 2 };
const networkFaults: Faults = { 'node.drop': 3, 'node.partition': 3, 'node.freeze': 3 };
const machineFaults: Faults = {
  ...{ 'node.kill': 3, 'node.power': 2, 'node.hold': 2, 'node.crash': 3, 'node.stall': 1 },
  ...{ 'node.unload': 1, 'node.bad-loads': 1, 'node.foreign-memory': 1 },
};
const replicaFaults: Faults = { 'replica.kill': 3, 'replica.freeze': 2, 'redis.cut': 1 };

const moods: Record<Profile, Mood> = {
  calm,
  storm: { ...calm, requestEveryMs: 60, lastsMs: 3_700 },
  redis: { ...calm, faults: redisFaults, faultEveryMs: 1_400 },
  network: { ...calm, faults: networkFaults, faultEveryMs: 900 },
  machines: { ...calm, faults: machineFaults, faultEveryMs: 1_000, failChance: 0.1 },
  replicas: { ...calm, faults: replicaFaults, faultEveryMs: 1_700, replicas: [2, 2, 3] },
  poison: {
    ...calm,
    faults: { ...networkFaults, 'node.kill': 1, 'node.crash': 1 },
    faultEveryMs: 3_500,
    poisonChance: 0.3,
    requestEveryMs: 280,
  },
  cold: { ...calm, faults: { ...machineFaults, 'redis.cut': 1, 'redis.down': 1 }, faultEveryMs: 3_500, warmChance: 0.15 },
  flood: { ...calm, requestEveryMs: 40, lastsMs: 3_500, replicas: [1, 1, 2] },
  everything: {
    ...calm,
    faults: { ...redisFaults, ...networkFaults, ...machineFaults, ...replicaFaults },
    faultEveryMs: 600,
    poisonChance: 0.04,
    failChance: 0.05,
    warmChance: 0.6,
  },
};

/** One run in so many is five times as crowded and lasts longer: queues grow long, and patience with them. */
export const LARGE_ONE_IN = 25;

export const moodOf = (profile: Profile, isLarge: boolean): Mood => {
  const mood = moods[profile];
  if (!isLarge) return mood;
  return { ...mood, requestEveryMs: mood.requestEveryMs / 3, lastsMs: mood.lastsMs * 1.5, patienceMs: mood.patienceMs * 3 };
};
