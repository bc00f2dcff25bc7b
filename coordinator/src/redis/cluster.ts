import { Cluster } from 'ioredis';

/**
 * Redis Cluster: `redis+cluster://user:password@one:6379,two:6379`, or `rediss+cluster://` with TLS. Some of the masters are enough; they
 * know the others. Every script's keys share a hash tag (keys.ts), so each runs on one of them.
 */
const CLUSTER_URL = /^(rediss?)\+cluster:\/\/(?:([^:@]*):([^@]*)@)?([^/]+)\/?$/;

const REFRESH_SLOTS_MS = 2_000;
const DEFAULT_PORT = 6379;

export const isClusterUrl = (url: string): boolean => CLUSTER_URL.test(url);

/** Of the connections to single servers. */
export type ServerOptions = NonNullable<NonNullable<ConstructorParameters<typeof Cluster>[1]>['redisOptions']>;

export const clusterOf = (url: string, options: ServerOptions): Cluster => {
  const [, scheme, username = '', password = '', hosts = ''] = CLUSTER_URL.exec(url) ?? [];
  const nodes = hosts.split(',').map((host) => {
    const { hostname, port } = new URL(`redis://${host}`);
    return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || DEFAULT_PORT) };
  });
  const redisOptions: ServerOptions = {
    ...options,
    ...(username === '' ? {} : { username: decodeURIComponent(username) }),
    ...(password === '' ? {} : { password: decodeURIComponent(password) }),
    ...(scheme === 'rediss' ? { tls: {} } : {}),
  };
  const cluster = new Cluster(nodes, {
    redisOptions,
    lazyConnect: true,
    enableOfflineQueue: false,
    // What may have been executed is not sent again, as with one server.
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    slotsRefreshInterval: REFRESH_SLOTS_MS,
    clusterRetryStrategy: (times) => Math.min(1_000, 50 * 2 ** Math.min(times, 5)),
  });
  publishInOrder(cluster);
  return cluster;
};

/**
 * ioredis sends what names no key to any node, so that one message could overtake another. As a script on a key it always goes to the
 * same one, and from there to all subscribers in order.
 */
const publishInOrder = (cluster: Cluster): void => {
  cluster.defineCommand('publishFrom', { numberOfKeys: 1, lua: "return redis.call('PUBLISH', KEYS[1], ARGV[1])" });
  const publish = (channel: string, message: string | Buffer): Promise<number> =>
    (cluster as Cluster & { publishFrom(channel: string, message: string | Buffer): Promise<number> }).publishFrom(
      channel,
      message,
    );
  cluster.publish = publish as typeof cluster.publish;
};
