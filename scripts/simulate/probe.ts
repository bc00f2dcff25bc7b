import type { Client } from './client.ts';
import type { World } from './world.ts';

const ANSWER_LIMIT_MS = 60_000;
/** What a load is estimated to need at most; see scheduler/fit.ts. */
const needBytes = (sizeBytes: number): number => sizeBytes * 1.5 + 2 ** 28;

/**
 * After everything, one more request for each model at each door. A model that a well machine has, warm or with room for it, must be
 * answered: whatever went wrong before is over. Returns what was not.
 */
export const probe = async (world: World): Promise<string[]> => {
  const clients: Client[] = [];
  for (const model of modelsToAskFor(world)) {
    for (const [at, { isAlive }] of world.replicas.entries()) {
      if (!isAlive) continue;
      const client = world.arrive({
        ...{ id: `probe-${clients.length + 1}`, replica: at, key: 'probe', priorityClass: 'interactive', model },
        ...{ text: `probe ${clients.length + 1}`, tokens: 1, poison: null, failChance: 0 },
        ...{ queueMs: ANSWER_LIMIT_MS, totalMs: ANSWER_LIMIT_MS, abortAfterMs: null, readPauseMs: 0 },
      });
      if (client) clients.push(client);
    }
  }
  await world.timeline.run(world.timeline.nowMs + ANSWER_LIMIT_MS + 2_000, () => clients.every((client) => client.isOver));
  await world.timeline.run(world.timeline.nowMs + 3_000);
  return [
    ...clients
      .filter(({ how }) => how !== 'end')
      .map(({ request, replica, how }) => `after all, ${request.model} is not served at ${replica.id}: ${how}`),
    ...world.alive.flatMap(({ id, leases, matching }) =>
      leases.held + matching.waiting + matching.running === 0
        ? []
        : [`after the last request ${id} still holds ${leases.held} leases`],
    ),
  ];
};

/** Loads that failed lately are barred for minutes, and what is too large stays so. */
const modelsToAskFor = (world: World): string[] => {
  const models = new Set(world.plan.nodes.flatMap((node) => node.models.map(({ id }) => id)));
  return [...models].filter((model) =>
    world.machines.some((machine) => {
      const plan = machine.plan.models.find(({ id }) => id === model);
      if (!plan || !machine.isWell) return false;
      if (machine.engine.freeSlots(model) > 0) return true;
      const hasRoom = machine.plan.vramBytes === null || needBytes(plan.sizeBytes) <= machine.plan.vramBytes;
      return hasRoom && !world.failedLoads.has(model);
    }),
  );
};
