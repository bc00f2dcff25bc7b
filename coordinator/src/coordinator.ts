import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { serve } from '@hono/node-server';
import type { Logger } from 'pino';
import { ApiKeys } from './access/api-keys.ts';
import { isLoopback, trustedProxies } from './access/client-address.ts';
import { coordinatorIdentity } from './access/coordinator-identity.ts';
import { FailureLimits } from './access/failure-limits.ts';
import { type Revocation, Revocations } from './access/revocations.ts';
import { Sessions } from './access/sessions.ts';
import { setupToken } from './access/sign-in.ts';
import { storeAdministration } from './access/store-administration.ts';
import { describeJob } from './api/jobs.ts';
import { questionIn } from './api/openai/questions.ts';
import { createApp } from './app.ts';
import { localUrl } from './cli/place.ts';
import { type CoordinatorConfig, databaseLocation } from './config.ts';
import { Configuration } from './configuration/configuration.ts';
import { problemLine } from './configuration/read-file.ts';
import { closedDataDir } from './data-dir.ts';
import { systemClock } from './dispatch/clock.ts';
import { startDispatch } from './dispatch/dispatch.ts';
import { HeldMemory } from './dispatch/held-memory.ts';
import type { NodeLink } from './dispatch/nodes.ts';
import { providerSource } from './dispatch/provider-source.ts';
import { RouteLoop } from './dispatch/route-loop.ts';
import { ExplainLog } from './explain/explain-log.ts';
import { Feed } from './feed/feed.ts';
import { FleetTotals } from './feed/totals.ts';
import { readPayloadKey } from './jobs/payload-cipher.ts';
import { startJobs } from './jobs/start.ts';
import { openLan } from './lan/lan.ts';
import { lanAddress } from './lan/lan-address.ts';
import { CommandLog } from './nodes/command-log.ts';
import { NodeCommands } from './nodes/node-commands.ts';
import { NodeGroups } from './nodes/node-groups.ts';
import { Registry } from './nodes/registry.ts';
import type { CommandLink } from './nodes/running-command.ts';
import { acceptAgents } from './nodes/socket-server.ts';
import { Providers } from './providers/providers.ts';
import { checkPolicy, connectRedis, isUp } from './redis/client.ts';
import { EmbeddedRedis, findRedisServer } from './redis/embedded.ts';
import { keys } from './redis/keys.ts';
import { RedisMemory } from './redis/memory.ts';
import { Subscriber } from './redis/subscriber.ts';
import { ReleaseMaker } from './releases/release-maker.ts';
import { Releases } from './releases/releases.ts';
import { Rollouts } from './releases/rollouts.ts';
import { CommandRelay } from './replicas/command-relay.ts';
import { Relay } from './replicas/relay.ts';
import { Replicas } from './replicas/replicas.ts';
import { Household } from './routing/household.ts';
import { noteRunning } from './running.ts';
import { type Database, databasePlace, openDatabase } from './store/database.ts';
import { joinUsers } from './store/presence.ts';
import { VERSION } from './version.ts';

const DRAIN_MS = 30_000;
const LAST_WORDS_MS = 1_500;

export interface Coordinator {
  readonly url: string;
  /** The listener on the local network, and its certificate for clients there; null without `--lan`. */
  readonly lan: { readonly url: string; readonly authorityPath: string } | null;
  readonly db: Database;
  /** Where the first operator signs up; null when there is one. Works once. */
  readonly setupUrl: string | null;
  /** Takes nothing new, lets answers finish (30 s at most), stops what it started. */
  close(): Promise<void>;
}

/** Starts a coordinator, or leaves nothing of it behind: each step that fails undoes the steps before it, the last one first. */
export const startCoordinator = async (config: CoordinatorConfig, log: Logger): Promise<Coordinator> => {
  const undo = new AsyncDisposableStack();
  try {
    return await startSteps(config, log, undo);
  } catch (error) {
    await undo.disposeAsync().catch((err: unknown) => log.error({ err }, 'not everything of a failed start could be undone'));
    throw error;
  }
};

/** Stores → rooms → door. Each step registers in `undo` how it is stopped. */
const startSteps = async (config: CoordinatorConfig, log: Logger, undo: AsyncDisposableStack): Promise<Coordinator> => {
  closedDataDir(config.dataDir, log);
  const location = databaseLocation(config);
  undo.defer(() => log.info('coordinator stopped'));
  const presence = await joinUsers(databasePlace(location));
  if (!presence) throw new Error('A backup is being restored into this database. Start again when that is done.');
  undo.defer(() => presence.release());
  const db = await openDatabase(location);
  undo.defer(() => db.destroy());
  const identity = await coordinatorIdentity(db);
  const apiKeys = new ApiKeys(db);
  undo.defer(() => apiKeys.close().catch(() => {}));
  const embedded = config.redisUrl ? null : embeddedRedis(config, log);
  if (embedded) {
    // Before it has started: a start that is given up leaves a process, too.
    undo.defer(() => embedded.close());
    await embedded.start();
  }
  const redis = await connectRedis(config.redisUrl ?? embedded?.url ?? '', log);
  undo.defer(() => redis.disconnect());
  const policyProblem = await checkPolicy(redis);
  if (policyProblem) log.error(policyProblem);
  const sessions = new Sessions({ redis, db });
  undo.defer(() => sessions.close());

  const subscriber = new Subscriber(redis);
  undo.defer(() => subscriber.close());
  const replicas = new Replicas({ id: randomUUID(), redis, subscriber, log });
  undo.defer(() => replicas.close());
  const servers: Server[] = [];
  undo.defer(async () => {
    for (const open of servers) open.closeAllConnections();
    await Promise.all(servers.map((open) => new Promise((resolve) => open.close(resolve))));
  });
  const relay: Relay = new Relay({
    ...{ replicas, log },
    session: (nodeId) => registry.session(nodeId),
    release: (lease) => dispatch.matching.release(lease),
  });
  const commandRelay: CommandRelay = new CommandRelay({ replicas, session: (nodeId) => registry.session(nodeId) });
  const registry: Registry<NodeLink & CommandLink> = new Registry({
    replicaId: replicas.id,
    redis,
    remoteLink: (record) => ({ ...relay.link(record), ...commandRelay.link(record) }),
    log,
  });
  const explainLog = new ExplainLog({ db, log });
  undo.defer(() => explainLog.close());
  const dispatch = startDispatch({
    ...{ redis, registry, replicas, log },
    onEnded: (request) => explainLog.record(request),
    onDurableJob: (job, grant) => void jobs.run(job, grant),
    onQuarantined: (fingerprint) => log.error({ fingerprint }, 'a request crashed two engines and is blocked for an hour'),
  });
  undo.defer(() => dispatch.close());
  const { matching, dispatcher } = dispatch;
  const commands = new CommandLog({ redis, broadcast: (message) => replicas.broadcast(message), log });
  const totals = new FleetTotals({ own: () => ({ running: matching.running, waiting: matching.waiting }), replicas });
  const limits = { maxTextBytes: config.maxTextBodyBytes };
  const durable = startJobs({
    ...{ redis, dispatch, log },
    payloadKey: readPayloadKey(config.payloadKey, config.dataDir),
    webhookHosts: config.webhookHosts,
    webhookSecret: config.webhookSecret ?? null,
    language: {
      bodyFor: (body) => questionIn(Buffer.from(body), limits).question.bodyFor,
      collectorFor: (body) => questionIn(Buffer.from(body), limits).collector,
      describe: describeJob,
    },
  });
  undo.defer(() => durable.close());
  const { jobs, webhooks } = durable;
  await subscriber.listen(keys.nodeChannel, (json) => registry.hear(json.toString()));
  subscriber.onBack(() => {
    void registry.readAll();
    void commands.readAll();
  });
  await replicas.start({
    item: (sender, item) =>
      relay.take(sender, item) ||
      commandRelay.take(sender, item) ||
      (item.kind === 'message' &&
        (dispatch.hear(item.message) || totals.hear(sender, item.message) || commands.hear(item.message))),
    gone: (replicaId) => {
      // Its nodes first, so that none of the attempts which end now are sent there again.
      registry.replicaGone(replicaId);
      relay.replicaGone(replicaId);
      commandRelay.replicaGone(replicaId);
      dispatch.matching.replicaGone(replicaId);
    },
  });
  await registry.readAll();
  await commands.readAll();
  const memory = new RedisMemory({
    redis,
    log,
    onLost: () => {
      registry.publishAll();
      dispatch.retell();
    },
  });
  undo.defer(() => memory.close());

  const configuration = new Configuration({ folder: config.configDir, env: process.env, log });
  undo.defer(() => configuration.close());
  await configuration.start();
  const groups = new NodeGroups({ db, log });
  undo.defer(() => groups.close());
  await groups.read();
  const providers = new Providers({ env: process.env, nowMs: () => systemClock.nowMs(), log });
  undo.defer(() => providers.close());
  providers.apply(configuration.household.providers);
  configuration.onChange((now) => providers.apply(now.providers));
  const household = new Household({
    nodes: () => registry.list(),
    groups: () => groups.current,
    rules: () => configuration.household.routing.rules,
    providers: () => providers.facts(),
    environment: config.environment ?? null,
  });
  const routes = new RouteLoop({
    dispatcher,
    preview: (target) => matching.preview(target),
    providers: providerSource(providers, systemClock),
    nowMs: () => systemClock.nowMs(),
  });

  const proxies = trustedProxies(config.trustedProxies);
  const announce = (revocation: Revocation) => revocations.announce(revocation);
  const agents = acceptAgents({ db, redis, registry, identity, proxies, announce, log });
  const recheck = (news: Revocation | 'everything') => {
    const failed = (err: unknown) => log.warn({ err }, 'rights could not be looked at again; trying in 5 s');
    feed.hear(news);
    if (news === 'everything' || news.kind === 'node') void groups.read();
    if (news === 'everything' || news.kind === 'key') void apiKeys.recheck(Date.now()).catch(failed);
    if (news === 'everything' || news.kind === 'session') void sessions.recheck(Date.now()).catch(failed);
    if (news === 'everything' || news.kind === 'node') void agents.recheck(news === 'everything' ? null : news.id).catch(failed);
  };
  const feed = new Feed({
    ...{ db, registry, commands, log, version: VERSION, replicaId: replicas.id },
    counts: () => ({ ...totals.now(), redis: isUp(redis) ? 'up' : 'down' }),
  });
  undo.defer(() => feed.close());
  const revocations: Revocations = new Revocations({ redis, onNews: recheck, log });
  await revocations.start(subscriber);

  const releases = new Releases({ dir: config.releasesDir, publicKey: config.releaseKey ?? null, log });
  await releases.shelf();
  const rollouts = new Rollouts({ db, registry, releases, log });
  const maker = new ReleaseMaker({ outDir: config.releasesDir, keyPath: join(config.dataDir, 'release.key'), log });
  undo.defer(() => maker.close());
  const lan = config.lan ? await openLan({ ...config, wanted: config.lan, identity, nowMs: Date.now() }) : null;
  let port = config.port;

  let isDraining = false;
  undo.defer(async () => {
    isDraining = true;
    const deadline = performance.now() + DRAIN_MS;
    registry.drain();
    matching.drain();
    while (matching.running + relay.carried > 0 && performance.now() < deadline) await pause(50);
    await rollouts.close();
    agents.close();
    registry.close();
    // Who is still here is told why it ends, before the lines are cut.
    const lastWordsUntil = performance.now() + LAST_WORDS_MS;
    while (matching.running + matching.waiting > 0 && performance.now() < lastWordsUntil) {
      matching.turnAway();
      await pause(20);
    }
  });
  const app = createApp({
    ...config,
    db,
    apiKeys,
    sessions,
    signIns: { db, redis, sessions, log },
    announce,
    failures: new FailureLimits(),
    proxies,
    administration: (actor) => storeAdministration({ db, coordinatorKey: identity.publicKey, log, announce }, actor),
    coordinatorKey: identity.publicKey,
    registry,
    nodeCommands: new NodeCommands({ db, registry, commands }),
    commands,
    feed,
    figuresOf: dispatch.figuresOf,
    releases,
    rollouts,
    maker,
    publicUrl: config.publicUrl,
    lan,
    reachableUrl: () => lan?.url(port) ?? reachableUrl({ ...config, port }),
    matching,
    explanations: explainLog,
    speedsOf: dispatch.figuresOf,
    dispatcher,
    routes,
    providers: () =>
      providers
        .views()
        .map((view) => ({ ...view, models: view.models.map((model) => ({ ...model, capabilities: [...model.capabilities] })) })),
    configuration: () => ({
      folder: config.configDir,
      appliedAtMs: configuration.appliedAtMs,
      refused: configuration.refused.map(problemLine),
    }),
    routing: { world: () => household.world(), complexWhen: () => configuration.household.routing.complex },
    jobs,
    webhooks,
    held: new HeldMemory(),
    isRedisUp: () => isUp(redis) && (embedded?.isSteady ?? true),
    isDraining: () => isDraining,
    log,
  });
  const open = async (place: Parameters<typeof listen>[1]): Promise<number> => {
    const server = await listen(app.fetch, place);
    servers.push(server);
    server.on('upgrade', (request, socket, head) => agents.upgrade(request, socket, head));
    return (server.address() as AddressInfo).port;
  };
  port = await open({ ...config, tls: configuredTls(config) });
  if (lan) await open({ host: lan.address, port, tls: lan });
  const url = `${config.tlsCert ? 'https' : 'http'}://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`;
  log.info({ url, ...(lan ? { lan: lan.url(port) } : {}) }, 'coordinator is listening');
  warnIfOpen(config, log);

  const setup = await setupToken(db);
  const hereUrl = localUrl({ ...config, port });
  undo.defer(
    noteRunning(config.dataDir, { pid: process.pid, url: hereUrl, version: VERSION, startedAtMs: Date.now() }, process.env),
  );

  return {
    url,
    lan: lan && { url: lan.url(port), authorityPath: lan.authorityPath },
    db,
    // Behind the #: browsers keep that part to themselves.
    setupUrl: setup && `${config.publicUrl ?? hereUrl}/setup#${setup}`,
    close: () => undo.disposeAsync(),
  };
};

const embeddedRedis = (config: CoordinatorConfig, log: Logger): EmbeddedRedis => {
  const program = config.redisServer ?? findRedisServer(process.env['PATH'] ?? '');
  if (!program) {
    throw new Error(
      'No redis-server or valkey-server on PATH. Install one (Debian: apt-get install redis-server), or point LAI_REDIS_URL at a Redis.',
    );
  }
  return new EmbeddedRedis({ dataDir: config.dataDir, program, address: localUrl(config), log });
};

/** Null: on this machine alone. */
const reachableUrl = ({ host, port, tlsCert }: Pick<CoordinatorConfig, 'host' | 'port' | 'tlsCert'>): string | null => {
  if (isLoopback(host)) return null;
  const address = host === '0.0.0.0' || host === '::' ? lanAddress(networkInterfaces()) : host.includes(':') ? `[${host}]` : host;
  return address && `${tlsCert ? 'https' : 'http'}://${address}:${port}`;
};

/** Who listens to the network without encryption should know it: keys and prompts can be read on the way. */
const warnIfOpen = ({ host, tlsCert, trustedProxies: proxies }: CoordinatorConfig, log: Logger): void => {
  if (isLoopback(host) || tlsCert || proxies.length > 0) return;
  log.warn(
    { host },
    'listening beyond this machine without TLS: anybody on the way can read keys and prompts. Set LAI_TLS_CERT and LAI_TLS_KEY, or put a reverse proxy in front and name it in LAI_TRUSTED_PROXIES.',
  );
};

/**
 * Node's own limits let slow clients hold sockets for minutes (measured: 500 for the whole run); these are the design's. They are only
 * looked at every so often: without `connectionsCheckingInterval`, every 30 s.
 */
const HTTP_LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 60_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 2_000,
  maxHeaderSize: 16 * 1024,
} as const;
const MAX_CONNECTIONS = 10_000;

interface Tls {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
}

const configuredTls = ({ tlsCert, tlsKey }: CoordinatorConfig): Tls | null =>
  tlsCert && tlsKey ? { cert: readPem(tlsCert, 'LAI_TLS_CERT'), key: readPem(tlsKey, 'LAI_TLS_KEY') } : null;

interface Place {
  readonly host: string;
  readonly port: number;
  readonly tls: Tls | null;
}

const listen = (fetch: Parameters<typeof serve>[0]['fetch'], { host, port, tls }: Place): Promise<Server> =>
  new Promise((resolve, reject) => {
    const door = tls
      ? {
          createServer: createTlsServer,
          serverOptions: { ...HTTP_LIMITS, cert: tls.cert, key: tls.key, minVersion: 'TLSv1.2' as const },
        }
      : { serverOptions: HTTP_LIMITS };
    const server = serve({ fetch, hostname: host, port, ...door, overrideGlobalObjects: false }, () => resolve(server)) as Server;
    server.maxHeadersCount = 100;
    server.maxConnections = MAX_CONNECTIONS;
    server.once('error', (error: NodeJS.ErrnoException) => reject(new Error(whyNoDoor(error, { host, port }), { cause: error })));
  });

const readPem = (file: string, setting: string): Buffer => {
  try {
    return readFileSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(`${setting} is ${file}, which cannot be read (${code}). Name a PEM file that this user may read.`);
  }
};

const whyNoDoor = ({ code, message }: NodeJS.ErrnoException, { host, port }: Pick<Place, 'host' | 'port'>): string => {
  if (code === 'EADDRINUSE') return `Port ${port} on ${host} is taken. Choose another with --port or LAI_PORT.`;
  if (code === 'EACCES') return `This user may not listen on port ${port}. Choose one above 1023 with --port or LAI_PORT.`;
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return `This machine has no address ${host} to listen on (${code}). Choose another with --host or LAI_HOST.`;
  return `The coordinator cannot listen on ${host}, port ${port} (${code ?? message}). Choose others with --host and --port.`;
};
