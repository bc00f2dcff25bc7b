import { X509Certificate } from 'node:crypto';
import { readFileSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { NodeEntry } from '@lai/shared/admin-api';
import type { Command } from 'commander';
import { Redis } from 'ioredis';
import { isLoopback } from '../../access/client-address.ts';
import { runningIn } from '../../running.ts';
import { askCoordinator } from '../ask-coordinator.ts';
import { examples, withJson, withPlace } from '../options.ts';
import { existingHome, type Place, placeOf } from '../place.ts';
import { adminCall } from '../remote-administration.ts';
import { fetchStatus } from '../status.ts';
import { type Finding, fail, findingsPage, warn, well } from './finding.ts';
import {
  backupFinding,
  certificateFinding,
  clockFinding,
  diskFinding,
  listeningFinding,
  nodeFinding,
  redisFindings,
  releasesFinding,
} from './findings.ts';
import { repairStored } from './repair.ts';

const LIMIT_MS = 3_000;

/** The version of what `--json` says. Fields are added, never changed. */
const VERSION = 1;

/** `lai doctor` */
export const addDoctorCommand = (program: Command): void => {
  const command = withJson(withPlace(program.command('doctor')))
    .description('examine the coordinator, its Redis, disk, clock and TLS, and every node; with a fix for each finding')
    .option('--repair', 'repair the file of the private Redis on this machine; the coordinator must not run')
    .action(async (flags) => {
      if (flags.repair === true) return void console.log(await repairStored(existingHome(flags)));
      const findings = await examine(placeOf(flags, process.env));
      const isHealthy = findings.every(({ level }) => level !== 'fail');
      process.stdout.write(
        flags.json ? `${JSON.stringify({ version: VERSION, isHealthy, findings }, null, 2)}\n` : findingsPage(findings),
      );
      process.exitCode = isHealthy ? 0 : 1;
    });
  examples(command, 'lai doctor', 'lai doctor --json | jq \'.findings[] | select(.level != "ok")\'');
};

/** In the order in which things must work. What cannot be asked is itself a finding. */
export const examine = async (place: Place): Promise<Finding[]> => {
  const isElsewhere = Boolean(process.env['LAI_URL']);
  const coordinator = await checkCoordinator(place);
  const local = isElsewhere
    ? []
    : await Promise.all([checkListening(place), checkCertificate(place), checkDisk(place), checkBackup(place)]);
  const redis = isElsewhere ? [] : await checkRedis(place);
  const fleet = coordinator.some(({ level }) => level === 'fail') ? [] : await checkFleet(place);
  return [...coordinator, ...local.flat(), ...redis, ...fleet];
};

const checkCoordinator = async (place: Place): Promise<Finding[]> => {
  const { url } = place;
  try {
    const response = await askCoordinator({ url, key: null }, '/livez', { limitMs: LIMIT_MS });
    const ready = await askCoordinator({ url, key: null }, '/readyz', { limitMs: LIMIT_MS }).then(
      () => well('coordinator.ready', 'It takes requests.'),
      () =>
        fail(
          'coordinator.ready',
          'It answers, and takes no requests: it is stopping, or its Redis is away.',
          'See its log, and the findings about Redis.',
        ),
    );
    return [
      well('coordinator', `The coordinator answers at ${url}.`),
      ready,
      clockFinding(response.headers.get('date'), Date.now()),
    ];
  } catch (error) {
    const note = runningIn(place.config.dataDir);
    const fix = note
      ? `Process ${note.pid} runs on ${place.config.dataDir} since ${new Date(note.startedAtMs).toISOString()}: look at it, or stop it.`
      : 'Start it: npm start, lai up, or systemctl start lai-coordinator';
    return [fail('coordinator', error instanceof Error ? error.message : String(error), fix)];
  }
};

const checkListening = async ({ url, config }: Place): Promise<Finding[]> => [
  listeningFinding({
    url,
    isLoopback: isLoopback(config.host),
    hasTls: config.tlsCert !== undefined || url.startsWith('https:'),
    hasProxy: config.trustedProxies.length > 0,
  }),
];

const checkCertificate = async ({ config }: Place): Promise<Finding[]> => {
  if (config.tlsCert === undefined) return [];
  try {
    return [certificateFinding(Date.parse(new X509Certificate(readFileSync(config.tlsCert)).validTo), Date.now())];
  } catch {
    return [
      fail('tls.certificate', `The certificate ${config.tlsCert} cannot be read.`, 'Name a PEM file that this user may read.'),
    ];
  }
};

const checkDisk = async ({ config }: Place): Promise<Finding[]> => {
  try {
    const { bavail, bsize } = statfsSync(config.dataDir);
    return [diskFinding(config.dataDir, bavail * bsize)];
  } catch {
    return [fail('disk.data', `The disk of ${config.dataDir} does not answer.`, 'Check that it is mounted.')];
  }
};

const checkBackup = async ({ config }: Place): Promise<Finding[]> => {
  try {
    return [backupFinding(statSync(join(config.dataDir, 'last-backup')).mtimeMs, Date.now())];
  } catch {
    return [backupFinding(null, Date.now())];
  }
};

const checkRedis = async ({ config }: Place): Promise<Finding[]> => {
  const address = config.redisUrl ?? privateSocket(config.dataDir);
  if (address === null) return [];
  if (address.startsWith('redis+cluster:')) return [];
  const redis = new Redis(address, {
    lazyConnect: true,
    retryStrategy: () => null,
    connectTimeout: LIMIT_MS,
    maxRetriesPerRequest: 0,
  });
  redis.on('error', () => {});
  try {
    await redis.connect();
    const [policy, info] = await Promise.all([redis.config('GET', 'maxmemory-policy'), redis.info('memory')]);
    const bytes = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
    return redisFindings({
      policy: String((policy as string[])[1]),
      usedBytes: bytes('used_memory'),
      maxBytes: bytes('maxmemory'),
    });
  } catch {
    return [
      config.redisUrl
        ? fail('redis', 'The Redis of LAI_REDIS_URL does not answer.', 'Start it, or correct LAI_REDIS_URL.')
        : warn(
            'redis',
            'The private Redis does not run.',
            'It starts with the coordinator; its last words are in redis/redis.log of the data directory.',
          ),
    ];
  } finally {
    redis.disconnect();
  }
};

/** Where the private Redis said it listens, when it was started last. */
const privateSocket = (dataDir: string): string | null => {
  try {
    return /^unixsocket "(.*)"$/m.exec(readFileSync(join(dataDir, 'redis', 'redis.conf'), 'utf8'))?.[1] ?? null;
  } catch {
    return null;
  }
};

const checkFleet = async ({ url, key }: Place): Promise<Finding[]> => {
  if (key === null)
    return [
      warn('key', 'There is no key to ask about the fleet with.', 'Set LAI_API_KEY, or run this as the user of the coordinator.'),
    ];
  try {
    const call = adminCall({ url, key });
    const [status, entries, updates] = await Promise.all([
      fetchStatus(url, key),
      call('GET /api/v1/nodes').catch((): NodeEntry[] => []),
      call('GET /api/v1/updates'),
    ]);
    const nodes = status.nodes.map((node) =>
      nodeFinding(
        node,
        entries.find(({ id }) => id === node.nodeId),
      ),
    );
    const none = warn(
      'nodes',
      'No node has joined yet.',
      'lai join-command --os linux prints the line that lets a machine join.',
    );
    return [releasesFinding(updates), ...(nodes.length === 0 ? [none] : nodes)];
  } catch (error) {
    return [fail('fleet', error instanceof Error ? error.message : String(error), 'Correct LAI_API_KEY.')];
  }
};
