import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { serve } from '@hono/node-server';
import type { Logger } from 'pino';
import { ApiKeys } from './access/api-keys.ts';
import { coordinatorIdentity } from './access/coordinator-identity.ts';
import { createApp } from './app.ts';
import type { CoordinatorConfig } from './config.ts';
import { startDispatch } from './dispatch/dispatch.ts';
import type { NodeLink } from './dispatch/nodes.ts';
import { Registry } from './nodes/registry.ts';
import { acceptAgents } from './nodes/socket-server.ts';
import { checkPolicy, connectRedis, isUp } from './redis/client.ts';
import { EmbeddedRedis, findRedisServer } from './redis/embedded.ts';
import { keys } from './redis/keys.ts';
import { RedisMemory } from './redis/memory.ts';
import { Subscriber } from './redis/subscriber.ts';
import { Relay } from './replicas/relay.ts';
import { Replicas } from './replicas/replicas.ts';
import { type Database, openDatabase } from './store/database.ts';

const DRAIN_MS = 30_000;

export interface Coordinator {
  readonly url: string;
  readonly db: Database;
  /** Takes nothing new, lets answers finish (30 s at most), stops what it started. */
  close(): Promise<void>;
}

/** Stores → rooms → door. What is started last is stopped first. */
export const startCoordinator = async (config: CoordinatorConfig, log: Logger): Promise<Coordinator> => {
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  const db = await openDatabase(join(config.dataDir, 'lai.sqlite'));
  const identity = await coordinatorIdentity(db);
  const embedded = config.redisUrl ? null : await startEmbeddedRedis(config, log);
  const redis = await connectRedis(config.redisUrl ?? embedded?.url ?? '', log);
  const policyProblem = await checkPolicy(redis);
  if (policyProblem) log.error(policyProblem);

  const subscriber = new Subscriber(redis);
  const replicas = new Replicas({ id: randomUUID(), redis, subscriber, log });
  const relay: Relay = new Relay({ replicas, session: (nodeId) => registry.session(nodeId), log });
  const registry: Registry<NodeLink> = new Registry({
    replicaId: replicas.id,
    redis,
    remoteLink: (record) => relay.link(record),
    log,
  });
  const dispatch = startDispatch({
    ...{ redis, registry, replicas, log },
    onDurableJob: () => {},
    onQuarantined: (fingerprint) => log.error({ fingerprint }, 'a request crashed two engines and is blocked for an hour'),
  });
  const { matching, dispatcher } = dispatch;
  await subscriber.listen(keys.nodeChannel, (json) => registry.hear(json.toString()));
  subscriber.onBack(() => void registry.readAll());
  await replicas.start({
    item: (sender, item) => relay.take(sender, item) || (item.kind === 'message' && dispatch.hear(item.message)),
    gone: (replicaId) => relay.replicaGone(replicaId),
  });
  await registry.readAll();
  const memory = new RedisMemory({
    redis,
    log,
    onLost: () => {
      registry.publishAll();
      dispatch.retell();
    },
  });

  let isDraining = false;
  const app = createApp({
    ...config,
    db,
    apiKeys: new ApiKeys(db),
    coordinatorKey: identity.publicKey,
    registry,
    matching,
    dispatcher,
    isRedisUp: () => isUp(redis),
    isDraining: () => isDraining,
    log,
  });
  const agents = acceptAgents({ db, redis, registry, identity, log });
  const server = await listen(app.fetch, config);
  server.on('upgrade', (request, socket, head) => agents.upgrade(request, socket, head));
  const { port } = server.address() as AddressInfo;
  const url = `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`;
  log.info({ url }, 'coordinator is listening');

  return {
    url,
    db,
    close: async () => {
      isDraining = true;
      const deadline = performance.now() + DRAIN_MS;
      while (matching.running > 0 && performance.now() < deadline) await pause(50);
      registry.close();
      memory.close();
      dispatch.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await replicas.close();
      subscriber.close();
      redis.disconnect();
      await embedded?.close();
      await db.destroy();
      log.info('coordinator stopped');
    },
  };
};

const startEmbeddedRedis = async (config: CoordinatorConfig, log: Logger): Promise<EmbeddedRedis> => {
  const program = config.redisServer ?? findRedisServer(process.env['PATH'] ?? '');
  if (!program) {
    throw new Error(
      'No redis-server or valkey-server on PATH. Install one (Debian: apt-get install redis-server), or point LAI_REDIS_URL at a Redis.',
    );
  }
  const embedded = new EmbeddedRedis({ dataDir: config.dataDir, program, log });
  await embedded.start();
  return embedded;
};

/** Node's own limits let slow clients hold sockets for minutes (measured: 500 for the whole run); these are the design's. */
const HTTP_LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 60_000,
  keepAliveTimeout: 5_000,
  maxHeaderSize: 16 * 1024,
} as const;

const listen = (fetch: Parameters<typeof serve>[0]['fetch'], { host, port }: CoordinatorConfig): Promise<Server> =>
  new Promise((resolve, reject) => {
    const server = serve({ fetch, hostname: host, port, serverOptions: HTTP_LIMITS, overrideGlobalObjects: false }, () =>
      resolve(server),
    ) as Server;
    server.maxHeadersCount = 100;
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE'
          ? new Error(`Port ${port} on ${host} is taken. Choose another with --port or LAI_PORT.`)
          : error,
      ),
    );
  });
