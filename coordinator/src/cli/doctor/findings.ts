import type { NodeEntry, NodeView } from '@lai/shared/admin-api';
import { readinessOf } from '@lai/shared/readiness';
import type { UpdateStatus } from '@lai/shared/release-api';
import { type Finding, fail, warn, well } from './finding.ts';

/** What the doctor makes of the facts. All pure. */

const GIB = 1024 ** 3;
const LOW_DISK_BYTES = 2 * GIB;
const NO_DISK_BYTES = 256 * 1024 ** 2;
const FULL_SHARE = 0.9;
const SKEW_MS = 30_000;
const CERTIFICATE_DAYS = 21;
const BACKUP_DAYS = 14;
const DAY_MS = 24 * 60 * 60_000;

const gib = (bytes: number): string => `${(bytes / GIB).toFixed(1)} GiB`;

export const redisFindings = (facts: { policy: string; usedBytes: number; maxBytes: number }): Finding[] => {
  const { policy, usedBytes, maxBytes } = facts;
  const words = `Redis uses ${gib(usedBytes)}${maxBytes > 0 ? ` of ${gib(maxBytes)}` : ', without a limit of its own'}.`;
  return [
    policy === 'noeviction'
      ? well('redis.policy', 'Redis refuses what it has no room for, and forgets nothing.')
      : fail(
          'redis.policy',
          `Redis throws entries away when it is full (${policy}), and accepted jobs with them.`,
          'redis-cli config set maxmemory-policy noeviction, and the same in redis.conf.',
        ),
    maxBytes > 0 && usedBytes > FULL_SHARE * maxBytes
      ? warn('redis.memory', words, 'Give it more (maxmemory), or let waiting jobs end: new ones are refused when it is full.')
      : well('redis.memory', words),
  ];
};

export const diskFinding = (dataDir: string, freeBytes: number): Finding => {
  const words = `${gib(freeBytes)} are free for the data in ${dataDir}.`;
  const fix = 'Make room on that disk, or move the data directory to a larger one.';
  if (freeBytes < NO_DISK_BYTES) return fail('disk.data', words, fix);
  return freeBytes < LOW_DISK_BYTES ? warn('disk.data', words, fix) : well('disk.data', words);
};

/** `dateHeader` is the coordinator's time, to the second. */
export const clockFinding = (dateHeader: string | null, nowMs: number): Finding => {
  const offMs = dateHeader === null ? Number.NaN : Math.abs(Date.parse(dateHeader) - nowMs);
  if (Number.isNaN(offMs))
    return warn('clock', 'The coordinator does not tell its time.', 'Look whether a proxy in front takes the header Date away.');
  return offMs <= SKEW_MS
    ? well('clock', 'The clocks of this machine and the coordinator agree.')
    : fail(
        'clock',
        `The clocks of this machine and the coordinator are ${Math.round(offMs / 1_000)} s apart.`,
        'Switch on automatic time (NTP) on both.',
      );
};

export const listeningFinding = (facts: { url: string; isLoopback: boolean; hasTls: boolean; hasProxy: boolean }): Finding => {
  const { url, isLoopback, hasTls, hasProxy } = facts;
  if (isLoopback) return well('listening', `It listens at ${url}, for this machine only.`);
  return hasTls || hasProxy
    ? well('listening', `It listens at ${url}, with TLS${hasTls ? '' : ' by a proxy'}.`)
    : fail(
        'listening',
        `It listens beyond this machine without TLS (${url}): keys and prompts can be read on the way.`,
        'Set LAI_TLS_CERT and LAI_TLS_KEY, or put a reverse proxy in front and name it in LAI_TRUSTED_PROXIES.',
      );
};

export const certificateFinding = (validToMs: number, nowMs: number): Finding => {
  const days = Math.floor((validToMs - nowMs) / DAY_MS);
  const fix = 'Renew it and restart the coordinator.';
  if (days < 0) return fail('tls.certificate', 'The certificate has expired.', fix);
  return days < CERTIFICATE_DAYS
    ? warn('tls.certificate', `The certificate expires in ${days} days.`, fix)
    : well('tls.certificate', `The certificate is valid for ${days} days.`);
};

export const releasesFinding = ({ releases, problems, releasesDir }: UpdateStatus): Finding => {
  if (problems[0] !== undefined)
    return warn(
      'releases',
      `A release of the agent is not offered: ${problems[0]}.`,
      `Take it out of ${releasesDir}, or make it anew (docs/releases.md).`,
    );
  const newest = releases.find(({ isLatest }) => isLatest);
  return newest
    ? well('releases', `Agents install version ${newest.version} from here (${newest.platforms.join(', ')}).`)
    : well('releases', 'There is no release of the agent yet; `lai join-command` makes one.');
};

export const backupFinding = (lastAtMs: number | null, nowMs: number): Finding => {
  const fix = 'lai backup <file>, and keep the file elsewhere.';
  if (lastAtMs === null) return warn('backup', 'There is no backup of this coordinator yet.', fix);
  const days = Math.floor((nowMs - lastAtMs) / DAY_MS);
  return days > BACKUP_DAYS
    ? warn('backup', `The last backup is ${days} days old.`, fix)
    : well('backup', `The last backup is ${days} days old.`);
};

/** The worst that can be said of a machine. */
export const nodeFinding = (node: NodeView, entry: NodeEntry | undefined): Finding => {
  const name = node.snapshot?.name ?? entry?.name ?? node.nodeId;
  const id = `node.${name}`;
  if (entry?.state === 'pending')
    return warn(id, `${name} waits to be approved.`, `Compare its fingerprint, then: lai nodes approve ${name}`);
  if (entry?.state === 'locked')
    return fail(
      id,
      `${name} is locked: ${entry.stateReason ?? 'no reason was noted'}.`,
      `lai nodes approve ${name}, when you know why.`,
    );
  if (node.liveness === 'offline' || !node.snapshot) return warn(id, `${name} is away.`, `On that machine: lai-agent doctor`);
  const { kind, sentence, next, passes } = readinessOf(node.snapshot);
  const [trouble] = node.snapshot.troubles ?? [];
  const failed = node.snapshot.models.find(({ state }) => state === 'failed');
  if (kind !== 'ready' && !passes && next !== null)
    return kind === 'held' || kind === 'simulated'
      ? warn(id, `${name}: ${sentence}`, next)
      : fail(id, `${name}: ${sentence}`, next);
  if (trouble !== undefined) return warn(id, `${name}: ${trouble}`, 'On that machine: lai-agent doctor');
  if (failed)
    return warn(
      id,
      `${name}: ${failed.id} failed (${failed.failure?.message ?? 'no reason given'}).`,
      `lai-agent logs ${failed.runtime}`,
    );
  return well(id, `${name}: ${sentence}`);
};
