import type { Logger } from 'pino';
import { z } from 'zod';
import type { Registry } from '../nodes/registry.ts';
import { isUp, type LaiRedis } from '../redis/client.ts';
import type { Replicas } from '../replicas/replicas.ts';
import { Target } from '../routing/target.ts';
import { Affinity } from './affinity.ts';
import { bullQueues } from './bullmq-queue.ts';
import { systemClock } from './clock.ts';
import { Cooldowns } from './cooldowns.ts';
import { type DispatchedRequest, Dispatcher } from './dispatcher.ts';
import { keepFigures } from './figure-keeper.ts';
import { Figures } from './figures.ts';
import type { JobQueues, TakenJob } from './job-queue.ts';
import { redisLeaseStore } from './lease-store.ts';
import { Leases } from './leases.ts';
import { redisLoadClaims } from './load-claims.ts';
import { Loads } from './loads.ts';
import { Matching } from './matching.ts';
import type { NodeLink } from './nodes.ts';
import { Quarantine } from './quarantine.ts';
import { redisStrikeStore } from './strike-store.ts';
import type { Grant } from './ticket.ts';

/** What replicas tell each other about queues. */
const DispatchMessage = z.discriminatedUnion('type', [
  /** A job was added for this target. */
  z.object({ type: z.literal('jobs.hint'), target: Target }),
  /** A slot came free. */
  z.object({ type: z.literal('slots.freed'), nodeId: z.string() }),
  /** A request has killed an engine, perhaps, or has not after all; it stands in Redis. Lost, it is read there within seconds. */
  z.object({ type: z.literal('strike'), fingerprint: z.string(), change: z.union([z.literal(1), z.literal(-1)]) }),
  /** Leave this node to a model that is to be loaded there. Not repeated: lost, it costs the wait for a pause. */
  z.object({ type: z.literal('room.made'), nodeId: z.string(), model: z.string() }),
  /** Your job was taken, and this slot is for it. */
  z.object({
    type: z.literal('job.granted'),
    job: z.object({
      id: z.string(),
      token: z.string(),
      priority: z.number(),
      data: z.object({
        requestId: z.string(),
        origin: z.string().nullable(),
        keyId: z.string(),
        target: Target,
        deadlineMs: z.number(),
      }),
    }),
    grant: z.object({
      lease: z.object({ id: z.string(), nodeId: z.string(), epoch: z.number(), model: z.string() }),
      nodeName: z.string(),
      model: z.string(),
    }),
  }),
]);

export interface Dispatch {
  readonly dispatcher: Dispatcher;
  readonly matching: Matching;
  readonly quarantine: Quarantine;
  readonly queues: JobQueues;
  /** What was learned of a model on a node. */
  readonly figuresOf: Figures['of'];
  /** True when the message of another replica was for this room. */
  hear(message: unknown): boolean;
  /** Redis has lost its memory: what lives here is told again. */
  retell(): void;
  close(): void;
}

/** Puts the room together on Redis and real time. */
export const startDispatch = (options: {
  redis: LaiRedis;
  registry: Registry<NodeLink>;
  replicas: Replicas;
  onDurableJob: (job: TakenJob, grant: Grant) => void;
  onQuarantined: (fingerprint: string) => void;
  onEnded: (request: DispatchedRequest) => void;
  log: Logger;
}): Dispatch => {
  const { redis, registry, replicas, log } = options;
  const clock = systemClock;
  const figures = new Figures();
  const cooldowns = new Cooldowns(clock);
  const affinity = new Affinity(clock);
  const quarantine = new Quarantine({
    store: redisStrikeStore(redis),
    clock,
    onBlocked: options.onQuarantined,
    onTold: (fingerprint, change) => replicas.broadcast({ type: 'strike', fingerprint, change }),
  });
  const leases = new Leases({ store: redisLeaseStore(redis), clock, log });
  const loads = new Loads({
    nodes: registry,
    claims: redisLoadClaims(redis, replicas.id),
    figures,
    clock,
    onDone: () => matching.pump(),
    log,
  });
  const queues = bullQueues(redis);
  const matching: Matching = new Matching({
    replicaId: replicas.id,
    ...{ nodes: registry, queues, leases, loads, figures, cooldowns, quarantine, affinity, clock, log },
    isStoreUp: () => isUp(redis),
    isAlone: () => replicas.others.size === 0,
    isReplicaThere: (id) => id === replicas.id || replicas.others.has(id),
    events: {
      foreignJob: ({ id, token, priority, data }, { placement: _explained, ...grant }) => {
        if (data.origin === null || !replicas.others.has(data.origin)) return false;
        replicas.send(data.origin, {
          kind: 'message',
          message: { type: 'job.granted', job: { id, token, priority, data }, grant },
        });
        return true;
      },
      durableJob: options.onDurableJob,
      added: (target) => replicas.broadcast({ type: 'jobs.hint', target }),
      freed: (nodeId) => replicas.broadcast({ type: 'slots.freed', nodeId }),
      makesRoom: (nodeId, model) => replicas.broadcast({ type: 'room.made', nodeId, model }),
    },
  });
  const dispatcher = new Dispatcher({
    onEnded: options.onEnded,
    matching,
    nodes: registry,
    figures,
    cooldowns,
    quarantine,
    affinity,
    loads,
    clock,
    log,
  });
  const stopKeeping = keepFigures({ redis, figures, registry, log });
  const stopReturns = registry.onReturn((nodeId, instanceId) => quarantine.nodeReturned(nodeId, instanceId));
  redis.on('ready', () => void matching.recheck());

  return {
    dispatcher,
    matching,
    quarantine,
    queues,
    figuresOf: (nodeId, model) => figures.of(nodeId, model),
    hear: (message) => {
      const parsed = DispatchMessage.safeParse(message);
      if (!parsed.success) return false;
      const { data } = parsed;
      if (data.type === 'jobs.hint') matching.hint(data.target);
      if (data.type === 'job.granted') takeGrant(matching, queues, data);
      if (data.type === 'strike') quarantine.hear(data.fingerprint, data.change);
      if (data.type === 'room.made') matching.keepRoom(data.nodeId, data.model);
      if (data.type === 'slots.freed') {
        leases.forgetOthers(data.nodeId);
        matching.pump();
      }
      return true;
    },
    retell: () => {
      leases.renewAll();
      void matching.recheck();
    },
    close: () => {
      stopKeeping();
      stopReturns();
      matching.close();
      loads.close();
      quarantine.close();
      leases.close();
    },
  };
};

/** Nobody waits for it here any more: the job is finished and its slot given back, of which whoever found it must hear. */
const takeGrant = (
  matching: Matching,
  queues: JobQueues,
  { job, grant }: Extract<z.infer<typeof DispatchMessage>, { type: 'job.granted' }>,
): void => {
  if (matching.receiveGrant(job, { ...grant, placement: null })) return;
  matching.release(grant.lease);
  queues
    .of(job.data.target)
    .complete(job, { outcome: 'abandoned', nodeId: null })
    .catch(() => {});
};
