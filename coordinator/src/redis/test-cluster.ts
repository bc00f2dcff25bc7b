import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { findRedisServer } from './embedded.ts';

const MASTERS = 3;
const SLOTS = 16_384;
/** Redis talks to its kind on this much higher a port. */
const BUS_OFFSET = 10_000;
const READY_LIMIT_MS = 30_000;

export interface TestCluster {
  readonly url: string;
  /** Ends one master at once and starts it again, without what it knew. */
  restart(at: number): Promise<void>;
  stop(): Promise<void>;
}

/** Three real masters in cluster mode, without replicas and without files that outlive them. */
export const startTestCluster = async (): Promise<TestCluster> => {
  const program = process.env['LAI_REDIS_SERVER'] ?? findRedisServer(process.env['PATH'] ?? '');
  if (!program) throw new Error('tests against Redis Cluster need redis-server on PATH; npm test installs it');
  const directory = mkdtempSync(join(tmpdir(), 'lai-cluster-'));
  const ports: number[] = [];
  while (ports.length < MASTERS) {
    const port = await freePort();
    if (port + BUS_OFFSET < 65_536 && !ports.includes(port)) ports.push(port);
  }
  const children: ChildProcess[] = [];
  const start = (port: number) => {
    const dir = join(directory, String(port));
    mkdirSync(dir, { recursive: true });
    const settings = {
      ...{ port, dir, bind: '127.0.0.1', save: '', appendonly: 'no', 'maxmemory-policy': 'noeviction' },
      ...{ 'cluster-enabled': 'yes', 'cluster-config-file': 'nodes.conf', 'cluster-node-timeout': 5_000 },
      'cluster-require-full-coverage': 'no',
    };
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
    return spawn(program, args, { stdio: 'ignore' });
  };
  const stop = async () => {
    await Promise.all(children.map(end));
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    for (const port of ports) children.push(start(port));
    await joinAll(ports);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url: `redis+cluster://${ports.map((port) => `127.0.0.1:${port}`).join(',')}`,
    restart: async (at) => {
      const [child, port] = [children[at], ports[at]];
      if (!child || port === undefined) throw new Error(`there is no master ${at}`);
      await end(child);
      children[at] = start(port);
      await untilAllAgree(ports);
    },
    stop,
  };
};

const end = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
};

const joinAll = async (ports: readonly number[]): Promise<void> => {
  const [first = 0] = ports;
  for (const [at, port] of ports.entries()) {
    await onServer(port, async (redis) => {
      const [from, to] = [at, at + 1].map((part) => Math.floor((part * SLOTS) / ports.length));
      await redis.cluster('ADDSLOTS', ...Array.from({ length: (to ?? 0) - (from ?? 0) }, (_, slot) => slot + (from ?? 0)));
      if (port !== first) await redis.cluster('MEET', '127.0.0.1', first);
    });
  }
  await untilAllAgree(ports);
};

const untilAllAgree = async (ports: readonly number[]): Promise<void> => {
  const isWell = (port: number) =>
    onServer(port, async (redis) => {
      const info = (await redis.cluster('INFO')) as string;
      const has = (line: string) => info.includes(line);
      return has('cluster_state:ok') && has(`cluster_slots_ok:${SLOTS}`) && has(`cluster_known_nodes:${MASTERS}`);
    });
  const deadline = performance.now() + READY_LIMIT_MS;
  while (!(await Promise.all(ports.map(isWell))).every(Boolean)) {
    if (performance.now() > deadline) throw new Error(`the cluster was not ready within ${READY_LIMIT_MS / 1_000} s`);
    await pause(50);
  }
};

/** One question to one server, as soon as it listens. */
const onServer = async <T>(port: number, ask: (redis: Redis) => Promise<T>): Promise<T> => {
  const redis = new Redis(port, '127.0.0.1', { retryStrategy: (times) => (times > 100 ? null : 50), maxRetriesPerRequest: null });
  redis.on('error', () => {});
  try {
    return await ask(redis);
  } finally {
    redis.disconnect();
  }
};

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => (address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
