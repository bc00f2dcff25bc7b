import type { Client } from './client.ts';
import type { RequestPlan } from './plan/plan.ts';
import type { World } from './world.ts';

const ANSWER_LIMIT_MS = 60_000;
/** Until slots are given back and the books are closed. */
const AFTERWARDS_MS = 1_000;
/** What a load is estimated to need at most; see scheduler/fit.ts. */
const needBytes = (sizeBytes: number): number => sizeBytes * 1.5 + 2 ** 28;

/**
 * After everything, one more request for each model at each door. A model that a well machine has, warm or with room for it, must be
 * answered: whatever went wrong before is over. Returns what was not.
 */
export const probe = async (world: World): Promise<string[]> => {
  const clients: Client[] = [];
  for (const model of new Set(world.plan.nodes.flatMap((node) => node.models.map(({ id }) => id)))) {
    if (!canBeServed(world, model)) continue;
    for (const [at, { isAlive }] of world.replicas.entries()) {
      const client = isAlive ? world.arrive(requestFor(model, at, clients.length + 1)) : null;
      if (client) clients.push(client);
    }
    await world.timeline.run(world.timeline.nowMs + ANSWER_LIMIT_MS + 2_000, () => clients.every((client) => client.isOver));
  }
  await world.timeline.run(world.timeline.nowMs + AFTERWARDS_MS, () => world.isQuiet);
  const unserved = clients.filter(({ how }) => how !== 'end');
  const busy = world.alive.filter(({ leases, matching }) => leases.held + matching.waiting + matching.running > 0);
  return [
    ...unserved.map(({ request, replica, how }) => `after all, ${request.model} is not served at ${replica.id}: ${how}`),
    ...busy.map(({ id, leases }) => `after the last request ${id} still holds ${leases.held} leases`),
  ];
};

const requestFor = (model: string, replica: number, count: number): RequestPlan => ({
  ...{ id: `probe-${count}`, replica, key: 'probe', priorityClass: 'interactive', model },
  ...{ text: `probe ${count}`, tokens: 1, poison: null, failChance: 0 },
  ...{ queueMs: ANSWER_LIMIT_MS, totalMs: ANSWER_LIMIT_MS, abortAfterMs: null, readPauseMs: 0 },
});

/** Loads that failed lately are barred for minutes, and what is too large stays so. As it is now: what was asked for before changes it. */
const canBeServed = (world: World, model: string): boolean =>
  world.machines.some((machine) => {
    const plan = machine.plan.models.find(({ id }) => id === model);
    if (!plan || !machine.isWell) return false;
    if (machine.engine.freeSlots(model) > 0) return true;
    const hasRoom = machine.plan.vramBytes === null || needBytes(plan.sizeBytes) <= machine.plan.vramBytes;
    return hasRoom && !world.failedLoads.has(model);
  });
