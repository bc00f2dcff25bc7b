import type { PriorityClass } from '../../../coordinator/src/scheduler/fairness.ts';
import { Random } from '../random.ts';
import { type FaultKind, LARGE_ONE_IN, type Mood, moodOf, PROFILES, type Profile } from './moods.ts';
import { GIB, type ModelPlan, type NodePlan, type Plan, type RequestPlan, type Step } from './plan.ts';

const MOST_STEPS = 200;
const MOST_REQUESTS = 160;
/** By then the replicas have heard of each other and the nodes have connected. */
const FIRST_REQUEST_MS = 2_000;

type BareModel = Omit<ModelPlan, 'isWarm' | 'slots'>;

/** The whole run, from a number. */
export const drawPlan = (seed: number, only: Profile | null = null): Plan => {
  const random = new Random(seed).fork('plan');
  const drawn = random.pick(PROFILES);
  const profile = only ?? drawn;
  const mood = moodOf(profile, random.chance(1 / LARGE_ONE_IN));
  const replicas = random.pick(mood.replicas);
  const isFlood = profile === 'flood';
  const models = Array.from({ length: isFlood ? 1 : random.whole(1, 3) }, (_, at) => drawModel(random, `model-${at + 1}`));
  const nodes = Array.from({ length: random.whole(1, isFlood ? 3 : 5) }, (_, at) =>
    drawNode(random, { id: `node-${at + 1}`, models, warmChance: mood.warmChance }),
  );
  const names = models.map(({ id }) => id);
  const requests = drawRequests(random, { mood, draw: (count) => drawRequest(random, { count, mood, models: names, replicas }) });
  const steps: Step[] = [
    ...requests.map(({ atMs, request }) => ({
      kind: 'request' as const,
      atMs,
      request: isFlood ? asFlood(request) : request,
    })),
    ...drawFaults(random, { mood, replicas, nodes: nodes.length }),
  ];
  steps.sort((a, b) => a.atMs - b.atMs);
  return { seed, profile, replicas, nodes, steps: steps.slice(0, MOST_STEPS) };
};

// The fleet

const drawModel = (random: Random, id: string): BareModel => {
  const sizeBytes = random.whole(1, 12) * GIB;
  return {
    ...{ id, sizeBytes, needFactor: random.between(1, 1.4) },
    loadMs: (sizeBytes / GIB) * random.between(50, 500),
    prefillMs: random.chance(0.05) ? random.between(3_000, 6_000) : random.between(30, 800),
    tokenMs: random.between(20, 300),
  };
};

const drawNode = (
  random: Random,
  { id, models, warmChance }: { id: string; models: readonly BareModel[]; warmChance: number },
): NodePlan => {
  const vramBytes = random.chance(0.85) ? random.whole(6, 24) * GIB : null;
  let leftBytes = vramBytes ?? Number.POSITIVE_INFINITY;
  const slowness = random.between(0.5, 2);
  const own = models.filter(() => random.chance(0.85));
  const entries = (own.length > 0 ? own : models).map((model): ModelPlan => {
    const needBytes = model.sizeBytes * model.needFactor;
    const isWarm = random.chance(warmChance) && needBytes <= leftBytes;
    if (isWarm) leftBytes -= needBytes;
    const { loadMs, prefillMs, tokenMs } = model;
    const pace = { loadMs: loadMs * slowness, prefillMs: prefillMs * slowness, tokenMs: tokenMs * slowness };
    return { ...model, ...pace, slots: random.pick([1, 1, 2, 3, 4]), isWarm };
  });
  return { id, maxConcurrent: random.whole(1, 5), vramBytes, readingLagMs: random.chance(0.5) ? 0 : 1_500, models: entries };
};

// Requests

/** Some come alone, some all at once. */
const drawRequests = (
  random: Random,
  { mood, draw }: { mood: Mood; draw: (count: number) => RequestPlan },
): { readonly atMs: number; readonly request: RequestPlan }[] => {
  const requests: { readonly atMs: number; readonly request: RequestPlan }[] = [];
  let atMs = FIRST_REQUEST_MS + random.exponential(mood.requestEveryMs);
  while (atMs < mood.lastsMs && requests.length < MOST_REQUESTS) {
    const together = random.chance(0.1) ? random.whole(2, 20) : 1;
    for (let at = 0; at < together; at += 1) requests.push({ atMs, request: draw(requests.length + 1) });
    atMs += random.exponential(mood.requestEveryMs);
  }
  return requests;
};

const CLASSES: Record<PriorityClass, number> = { interactive: 8, normal: 2, batch: 1 };
const KEYS = { ann: 6, ben: 3, cid: 1 };
const POISONS = { death: 'engine', doom: 'machine' } as const;
const COMMON_TEXTS = ['hello', 'hi there'];
const COMMON_TOKENS = 3;

const drawRequest = (
  random: Random,
  { count, mood, models, replicas }: { count: number; mood: Mood; models: readonly string[]; replicas: number },
): RequestPlan => {
  const { patienceMs } = mood;
  const poison = random.chance(mood.poisonChance) ? random.pick(['death', 'doom'] as const) : null;
  const common = poison === null && random.chance(0.15) ? random.pick(COMMON_TEXTS) : null;
  // Same text, same request: whatever the engine reads must then be the same too.
  const isShared = poison !== null || common !== null;
  return {
    id: `request-${count}`,
    replica: random.whole(0, replicas - 1),
    key: random.weighted(KEYS),
    priorityClass: random.weighted(CLASSES),
    model: random.chance(0.1) ? 'auto' : random.pick(models),
    text: poison ?? common ?? `text ${count}`,
    tokens: isShared ? COMMON_TOKENS : random.whole(0, 6),
    poison: poison && POISONS[poison],
    failChance: isShared ? 0 : mood.failChance,
    queueMs: random.whole(patienceMs * (random.chance(0.2) ? 0.05 : 0.4), patienceMs),
    totalMs: random.whole(patienceMs * (random.chance(0.1) ? 0.07 : 0.7), patienceMs * 1.3),
    abortAfterMs: random.chance(0.12) ? random.exponential(3_000) : null,
    readPauseMs: random.chance(0.05) ? random.between(10, 800) : 0,
  };
};

const LIGHT_ONE_IN = 12;

/** One key floods, another one asks now and then, and nothing else is going on. */
const asFlood = (request: RequestPlan): RequestPlan => ({
  ...request,
  replica: 0,
  key: Number(request.id.split('-')[1]) % LIGHT_ONE_IN === 0 ? 'light' : 'heavy',
  priorityClass: 'interactive',
  model: 'model-1',
  abortAfterMs: null,
  readPauseMs: 0,
  queueMs: 60_000,
  totalMs: 90_000,
});

// Faults

const drawFaults = (random: Random, { mood, replicas, nodes }: { mood: Mood; replicas: number; nodes: number }): Step[] => {
  const steps: Step[] = [];
  if (!Number.isFinite(mood.faultEveryMs)) return steps;
  for (let atMs = random.exponential(mood.faultEveryMs); atMs < mood.lastsMs; atMs += random.exponential(mood.faultEveryMs)) {
    const kind = random.weighted<FaultKind>(mood.faults);
    const forMs = random.chance(0.5) ? random.between(50, 2_000) : random.between(1_000, 6_000);
    const where = { replica: random.whole(0, replicas - 1), node: random.whole(0, nodes - 1) };
    steps.push(...drawFault(random, { kind, atMs, forMs, ...where }));
  }
  return steps;
};

const drawFault = (
  random: Random,
  { kind, atMs, forMs, replica, node }: { kind: FaultKind; atMs: number; forMs: number; replica: number; node: number },
): Step[] => {
  switch (kind) {
    case 'redis.down': {
      const memory = random.weighted({ kept: 4, lost: 2, older: 2 });
      const down = { kind, atMs, forMs, memory } as const;
      if (memory !== 'older') return [down];
      return [{ kind: 'redis.remember', atMs: Math.max(0, atMs - random.between(50, 1_000)) }, down];
    }
    case 'redis.hang':
    case 'redis.slow':
      return [{ kind, atMs, forMs }];
    case 'redis.cut':
    case 'replica.kill':
      return [{ kind, atMs, forMs, replica }];
    case 'replica.freeze':
      return [{ kind, atMs, forMs: forMs * 2, replica }];
    case 'node.foreign-memory':
      return [{ kind, atMs, forMs: forMs * 2, node, share: random.between(0.1, 0.9) }];
    default:
      return [{ kind, atMs, forMs: kind === 'node.partition' && random.chance(0.3) ? forMs * 2 : forMs, node }];
  }
};
