import type { PriorityClass } from '../../../coordinator/src/scheduler/fairness.ts';
import { Random } from '../random.ts';
import { GIB, type ModelPlan, type NodeFault, type NodePlan, type Plan, type RequestPlan, type Step } from './plan.ts';

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

const MOST_STEPS = 200;

type Faults = Readonly<Partial<Record<Exclude<Step['kind'], 'request' | 'redis.remember'>, number>>>;

interface Mood {
  readonly faults: Faults;
  readonly faultEveryMs: number;
  readonly requestEveryMs: number;
  readonly lastsMs: number;
  readonly poisonChance: number;
  readonly failChance: number;
  readonly warmChance: number;
  readonly replicas: readonly number[];
}

const calm: Mood = {
  faults: {},
  faultEveryMs: Number.POSITIVE_INFINITY,
  requestEveryMs: 300,
  lastsMs: 17_000,
  poisonChance: 0,
  failChance: 0,
  warmChance: 0.8,
  replicas: [1, 1, 2, 3],
};

const redisFaults: Faults = { 'redis.down': 3, 'redis.hang': 2, 'redis.slow': 1, 'redis.cut': 2 };
const networkFaults: Faults = { 'node.drop': 3, 'node.partition': 3, 'node.freeze': 3 };
const machineFaults: Faults = {
  ...{ 'node.kill': 3, 'node.power': 2, 'node.hold': 2, 'node.crash': 3, 'node.stall': 1 },
  ...{ 'node.unload': 1, 'node.bad-loads': 1, 'node.foreign-memory': 1 },
};
const replicaFaults: Faults = { 'replica.kill': 3, 'replica.freeze': 2, 'redis.cut': 1 };

const MOODS: Record<Profile, Mood> = {
  calm,
  storm: { ...calm, requestEveryMs: 40, lastsMs: 8_000 },
  redis: { ...calm, faults: redisFaults, faultEveryMs: 2_500 },
  network: { ...calm, faults: networkFaults, faultEveryMs: 1_000 },
  machines: { ...calm, faults: machineFaults, faultEveryMs: 1_200, failChance: 0.1 },
  replicas: { ...calm, faults: replicaFaults, faultEveryMs: 2_500, replicas: [2, 2, 3] },
  poison: {
    ...calm,
    faults: { ...networkFaults, 'node.kill': 1, 'node.crash': 1 },
    faultEveryMs: 6_000,
    poisonChance: 0.15,
    requestEveryMs: 200,
  },
  cold: { ...calm, faults: { ...machineFaults, 'redis.cut': 1, 'redis.down': 1 }, faultEveryMs: 5_000, warmChance: 0.15 },
  flood: { ...calm, requestEveryMs: 50, lastsMs: 7_000 },
  everything: {
    ...calm,
    faults: { ...redisFaults, ...networkFaults, ...machineFaults, ...replicaFaults },
    faultEveryMs: 800,
    poisonChance: 0.03,
    failChance: 0.05,
    warmChance: 0.6,
  },
};

/** The whole run, from a number. */
export const drawPlan = (seed: number, only: Profile | null = null): Plan => {
  const random = new Random(seed).fork('plan');
  const profile = only ?? random.pick(PROFILES);
  const mood = MOODS[profile];
  const replicas = random.pick(mood.replicas);
  const models = drawModels(random, profile);
  const nodes = Array.from({ length: profile === 'flood' ? random.whole(1, 3) : random.whole(1, 5) }, (_, at) =>
    drawNode(random, { id: `node-${at + 1}`, models, warmChance: mood.warmChance }),
  );
  const steps = [
    ...drawRequests(random, { profile, mood, models: models.map(({ id }) => id), replicas }),
    ...drawFaults(random, { mood, replicas, nodes: nodes.length }),
  ];
  steps.sort((a, b) => a.atMs - b.atMs);
  return { seed, profile, replicas, nodes, steps: steps.slice(0, MOST_STEPS) };
};

const drawModels = (random: Random, profile: Profile): Omit<ModelPlan, 'isWarm' | 'slots'>[] =>
  Array.from({ length: profile === 'flood' ? 1 : random.whole(1, 3) }, (_, at) => {
    const sizeBytes = random.whole(1, 12) * GIB;
    return {
      id: `model-${at + 1}`,
      sizeBytes,
      needFactor: random.between(1, 1.4),
      loadMs: (sizeBytes / GIB) * random.between(200, 800),
      prefillMs: random.between(30, 800),
      tokenMs: random.between(20, 300),
    };
  });

const drawNode = (
  random: Random,
  { id, models, warmChance }: { id: string; models: readonly Omit<ModelPlan, 'isWarm' | 'slots'>[]; warmChance: number },
): NodePlan => {
  const vramBytes = random.chance(0.85) ? random.whole(6, 24) * GIB : null;
  let leftBytes = vramBytes ?? Number.POSITIVE_INFINITY;
  const speed = random.between(0.5, 2);
  const own = models.filter(() => random.chance(0.85));
  return {
    id,
    maxConcurrent: random.whole(1, 5),
    vramBytes,
    readingLagMs: random.chance(0.5) ? 0 : 1_500,
    models: (own.length > 0 ? own : models).map((model) => {
      const needBytes = model.sizeBytes * model.needFactor;
      const isWarm = random.chance(warmChance) && needBytes <= leftBytes;
      if (isWarm) leftBytes -= needBytes;
      const slots = random.pick([1, 1, 2, 3, 4]);
      return {
        ...model,
        slots,
        isWarm,
        loadMs: model.loadMs * speed,
        prefillMs: model.prefillMs * speed,
        tokenMs: model.tokenMs * speed,
      };
    }),
  };
};

const CLASSES: Record<PriorityClass, number> = { interactive: 8, normal: 2, batch: 1 };

const drawRequests = (
  random: Random,
  { profile, mood, models, replicas }: { profile: Profile; mood: Mood; models: readonly string[]; replicas: number },
): Step[] => {
  const steps: Step[] = [];
  const poisonTexts = ['death', 'doom'];
  let atMs = random.between(2_000, 3_000); // by then everybody has heard of everybody
  while (atMs < mood.lastsMs && steps.length < MOST_STEPS * 0.8) {
    // Some come alone, some all at once.
    const together = random.chance(0.1) ? random.whole(2, 25) : 1;
    for (let at = 0; at < together; at += 1) {
      const isPoison = random.chance(mood.poisonChance);
      const text = isPoison
        ? random.pick(poisonTexts)
        : random.chance(0.15)
          ? random.pick(['hello', 'hi there'])
          : `text ${steps.length}`;
      const request: RequestPlan = {
        id: `request-${steps.length + 1}`,
        replica: random.whole(0, replicas - 1),
        key: random.weighted({ ann: 6, ben: 3, cid: 1 }),
        priorityClass: random.weighted(CLASSES),
        model: random.chance(0.1) ? 'auto' : random.pick(models),
        text,
        // Same text, same body.
        tokens: isPoison || text.startsWith('h') ? 5 : random.whole(0, 12),
        poison: isPoison ? (text === 'death' ? 'engine' : 'machine') : null,
        failChance: isPoison || text.startsWith('h') ? 0 : mood.failChance,
        queueMs: random.chance(0.2) ? random.whole(500, 5_000) : random.whole(10_000, 40_000),
        totalMs: random.chance(0.1) ? random.whole(1_000, 6_000) : random.whole(30_000, 60_000),
        abortAfterMs: random.chance(0.12) ? random.exponential(3_000) : null,
        readPauseMs: random.chance(0.05) ? random.between(10, 800) : 0,
      };
      steps.push({ kind: 'request', atMs, request: profile === 'flood' ? asFlood(request, steps.length) : request });
    }
    atMs += random.exponential(mood.requestEveryMs);
  }
  return steps;
};

/** One key floods, another one asks now and then; nothing else is going on. */
const asFlood = (request: RequestPlan, at: number): RequestPlan => ({
  ...request,
  replica: 0,
  key: at % 12 === 11 ? 'light' : 'heavy',
  priorityClass: 'interactive',
  model: 'model-1',
  abortAfterMs: null,
  readPauseMs: 0,
  queueMs: 120_000,
  totalMs: 180_000,
});

const drawFaults = (random: Random, { mood, replicas, nodes }: { mood: Mood; replicas: number; nodes: number }): Step[] => {
  const steps: Step[] = [];
  if (!Number.isFinite(mood.faultEveryMs)) return steps;
  for (let atMs = random.exponential(mood.faultEveryMs); atMs < mood.lastsMs; atMs += random.exponential(mood.faultEveryMs)) {
    const kind = random.weighted(mood.faults as Record<keyof Faults, number>);
    const briefly = random.chance(0.5) ? random.between(50, 2_000) : random.between(1_000, 8_000);
    steps.push(
      ...drawFault(random, {
        kind,
        atMs,
        forMs: briefly,
        replica: random.whole(0, replicas - 1),
        node: random.whole(0, nodes - 1),
      }),
    );
  }
  return steps;
};

const drawFault = (
  random: Random,
  { kind, atMs, forMs, replica, node }: { kind: keyof Faults; atMs: number; forMs: number; replica: number; node: number },
): Step[] => {
  switch (kind) {
    case 'redis.down': {
      const memory = random.weighted({ kept: 4, lost: 2, older: 2 });
      const before: Step[] =
        memory === 'older' ? [{ kind: 'redis.remember', atMs: Math.max(0, atMs - random.between(50, 1_000)) }] : [];
      return [...before, { kind, atMs, forMs, memory }];
    }
    case 'redis.hang':
    case 'redis.slow':
      return [{ kind, atMs, forMs }];
    case 'redis.cut':
    case 'replica.kill':
    case 'replica.freeze':
      return [{ kind, atMs, forMs: kind === 'replica.freeze' ? forMs * 2 : forMs, replica }];
    case 'node.foreign-memory':
      return [{ kind, atMs, forMs: forMs * 3, node, share: random.between(0.1, 0.9) }];
    default:
      return [
        { kind: kind as NodeFault, atMs, forMs: kind === 'node.partition' && random.chance(0.3) ? forMs * 3 : forMs, node },
      ];
  }
};
