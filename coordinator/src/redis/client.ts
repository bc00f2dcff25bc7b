import { readFileSync } from 'node:fs';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import type { Logger } from 'pino';
import { clusterOf, isClusterUrl, type ServerOptions } from './cluster.ts';

/**
 * How long a command may take. Redis that stops answering without closing the connection is otherwise waited for, for ever.
 */
const COMMAND_LIMIT_MS = 2_000;

const script = (name: string): string => readFileSync(new URL(`./${name}.lua`, import.meta.url), 'utf8');

/**
 * The connection with our scripts on it; what each takes and returns is written at the head of its file. A cluster's has the same
 * commands and events.
 */
export type LaiRedis = Redis & {
  claimLease(
    nodeLeases: string,
    modelLeases: string,
    epochKey: string,
    leaseId: string,
    ttlMs: number,
    nodeSlots: number,
    modelSlots: number,
    epoch: string,
  ): Promise<[1 | 0 | -1, number, number]>;
  releaseLease(nodeLeases: string, modelLeases: string, leaseId: string): Promise<number>;
  renewLease(nodeLeases: string, modelLeases: string, leaseId: string, ttlMs: number): Promise<number>;
  listJob(
    openJobs: string,
    jobsOfKey: string,
    jobBytesOfKey: string,
    id: string,
    submittedAtMs: number,
    most: number,
    bytes: number,
    mostOfKey: number,
    mostBytesOfKey: number,
    keepSeconds: number,
  ): Promise<1 | 0 | -1>;
  submitJob(
    job: string,
    bodyHash: string,
    ttlSeconds: number,
    usableShare: number,
    ...fields: string[]
  ): Promise<[1] | [0, string, string] | [-1]>;
  startJob(job: string, nowMs: number): Promise<number>;
  requeueJob(job: string, fence: number): Promise<number>;
  finishJob(job: string, fence: number, state: string, ttlSeconds: number, ...fields: string[]): Promise<number>;
  cancelJob(job: string, nowMs: number): Promise<'queued' | 'running' | 'completed' | 'failed' | 'canceled' | null>;
  nextEpoch(epochKey: string): Promise<string>;
  addStrike(
    counts: string,
    until: string,
    told: string,
    fingerprint: string,
    change: number,
    ttlMs: number,
    id: string,
  ): Promise<number>;
  seeReplicas(replicas: string, replicaId: string, goneMs: number): Promise<string[]>;
  publishNode(record: string, epochKey: string, epoch: string, json: string, ttlMs: number): Promise<number>;
};

const options = {
  // A command that cannot be sent now fails now; whoever asked decides what waiting means.
  enableOfflineQueue: false,
  maxRetriesPerRequest: 1,
  // Sending again what may have been executed would take a second job and forget the first.
  autoResendUnfulfilledCommands: false,
  commandTimeout: COMMAND_LIMIT_MS,
  connectTimeout: 2_000,
  keepAlive: 5_000,
  noDelay: true,
  protocol: 2,
  retryStrategy: (times: number) => Math.min(1_000, 50 * 2 ** Math.min(times, 5)),
  reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
} as const;

export const connectRedis = async (url: string, log: Logger): Promise<LaiRedis> => {
  const redis = isClusterUrl(url)
    ? (clusterOf(url, options) as unknown as Redis)
    : new Redis(url, { ...options, lazyConnect: true });
  redis.defineCommand('claimLease', { numberOfKeys: 3, lua: script('claim-lease') });
  redis.defineCommand('releaseLease', { numberOfKeys: 2, lua: script('release-lease') });
  redis.defineCommand('renewLease', { numberOfKeys: 2, lua: script('renew-lease') });
  redis.defineCommand('listJob', { numberOfKeys: 3, lua: script('list-job') });
  for (const name of ['submit', 'start', 'requeue', 'finish', 'cancel'])
    redis.defineCommand(`${name}Job`, { numberOfKeys: 1, lua: script(`${name}-job`) });
  redis.defineCommand('addStrike', { numberOfKeys: 3, lua: script('add-strike') });
  redis.defineCommand('nextEpoch', { numberOfKeys: 1, lua: script('next-epoch') });
  redis.defineCommand('seeReplicas', { numberOfKeys: 1, lua: script('see-replicas') });
  redis.defineCommand('publishNode', { numberOfKeys: 2, lua: script('publish-node') });
  if (!asCluster(redis)) writeTogether(redis);
  logOutages(redis, log);
  let reason = 'no answer';
  redis.on('error', (error: NodeJS.ErrnoException) => {
    reason = error.code ?? error.message;
  });
  try {
    await redis.connect();
  } catch {
    // Otherwise it would go on trying behind a start that has failed.
    redis.disconnect();
    throw new Error(
      `Redis cannot be used at ${withoutPassword(url)} (${reason}). Start it, or correct LAI_REDIS_URL; without it Lai runs a Redis of its own.`,
    );
  }
  return redis as LaiRedis;
};

/** What may be shown of an address: host and port, not who signs in with what. */
const withoutPassword = (url: string): string => url.replaceAll(/\/\/[^/@]*@/g, '//');

/**
 * Commands of one turn of the event loop leave in one write: a request sends several side by side, and each write of its own costs more
 * CPU than the command (measured: half of what ioredis takes).
 */
const writeTogether = (redis: Redis): void => {
  const send = redis.sendCommand.bind(redis);
  let corked: { uncork(): void } | null = null;
  redis.sendCommand = (command, stream) => {
    if (corked === null && redis.status === 'ready') {
      const socket = redis.stream;
      socket.cork();
      corked = socket;
      setImmediate(() => {
        corked = null;
        socket.uncork();
      });
    }
    return send(command, stream);
  };
};

/** One line when it goes away and one when it is back, not one per failed reconnect. */
const logOutages = (redis: Redis, log: Logger): void => {
  let isUp = false;
  redis.on('ready', () => {
    if (!isUp) log.info('redis is up');
    isUp = true;
  });
  redis.on('error', (error: Error) => log.debug({ err: error }, 'redis connection error'));
  redis.on('close', () => {
    if (isUp) log.warn('redis is away; running answers go on, new requests wait');
    isUp = false;
  });
};

/** Another connection to the same place. */
export const another = (redis: Redis, more: ServerOptions & RedisOptions): Redis => {
  const cluster = asCluster(redis);
  if (!cluster) return redis.duplicate(more);
  const redisOptions: ServerOptions = { ...(cluster.options.redisOptions as ServerOptions), ...more };
  return cluster.duplicate([], { enableOfflineQueue: true, redisOptions }) as unknown as Redis;
};

/** The servers behind it: one, or every master of a cluster. */
export const serversOf = (redis: Redis): readonly Redis[] => asCluster(redis)?.nodes('master') ?? [redis];

const asCluster = (redis: object): Cluster | null => (redis instanceof Cluster ? redis : null);

export const isUp = (redis: Redis): boolean => redis.status === 'ready';

/** Refuses a Redis that would silently drop jobs when it runs full. */
export const checkPolicy = async (redis: Redis): Promise<string | null> => {
  const answers = await Promise.all(serversOf(redis).map((server) => server.config('GET', 'maxmemory-policy')));
  const wrong = answers.map((answer) => (answer as string[])[1]).find((policy) => policy !== 'noeviction');
  return wrong === undefined
    ? null
    : `Redis has maxmemory-policy "${wrong}", which may throw accepted jobs away. Set it to noeviction: redis-cli config set maxmemory-policy noeviction`;
};
