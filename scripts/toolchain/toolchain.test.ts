import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isNodeNewEnough, nodeAdvice } from './node.mjs';
import { lockFiles, npmCommand } from './npm-package.mjs';
import { arePackagesInstalled, fingerprint } from './packages.mjs';
import { onPath, putFirst } from './path.mjs';
import { nodePins, pnpmPin } from './pins.mjs';
import { ensureRedis, findRedis, redisPlan } from './redis.mjs';
import { Stop, stopLines } from './say.mjs';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lai toolchain '));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function program(...path: string[]): string {
  const file = join(dir, ...path);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, '#!/bin/sh\n');
  chmodSync(file, 0o755);
  return file;
}

describe('the pins', () => {
  const workspace: { packageManager: string } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

  it('name the pnpm that package.json asks for', () => {
    expect(workspace.packageManager).toBe(`pnpm@${pnpmPin.version}`);
  });
  it('name Nodes that can run Lai, each with the hash of its package', () => {
    for (const pin of [...Object.values(nodePins), pnpmPin]) expect(pin.integrity).toMatch(/^sha512-[\w+/]{86}==$/);
    for (const pin of Object.values(nodePins)) expect(isNodeNewEnough(pin.version)).toBe(true);
  });
  it('reach npm as a lock file, so that other bytes are refused', () => {
    expect(lockFiles(pnpmPin)['package-lock.json']).toMatchObject({
      lockfileVersion: 3,
      packages: { 'node_modules/pnpm': { version: pnpmPin.version, integrity: pnpmPin.integrity } },
    });
  });
});

describe('choosing Node', () => {
  it.each([
    ['18.19.0', false],
    ['20.20.2', false],
    ['23.11.0', false],
    ['24.0.0', true],
    ['26.12.0', true],
  ])('Node %s can run Lai: %s', (version, expected) => {
    expect(isNodeNewEnough(version)).toBe(expected);
  });
  it('says what to type where npm carries no Node', () => {
    expect(nodeAdvice('darwin')).toContain('brew install node@24');
    expect(nodeAdvice('freebsd')).toContain('install Node 24');
  });
});

describe('choosing npm', () => {
  it('uses the npm that started us, whatever PATH has', () => {
    expect(npmCommand({ npm_execpath: '/opt/npm/bin/npm-cli.js' })).toEqual([process.execPath, '/opt/npm/bin/npm-cli.js']);
  });
  it('does not take pnpm for npm', () => {
    expect(npmCommand({ npm_execpath: '/opt/pnpm/bin/pnpm.mjs' })).toEqual(['npm']);
    expect(npmCommand({})).toEqual(['npm']);
  });
});

describe('PATH', () => {
  it('finds the first executable and skips empty entries', () => {
    const tool = program('b', 'tool');
    expect(onPath('tool', { PATH: `:${join(dir, 'a')}:${join(dir, 'b')}` })).toBe(tool);
    expect(onPath('tool', { PATH: '' })).toBeUndefined();
  });
  it('gets our folder first, once', () => {
    const env = { PATH: '/usr/bin:/ours:/bin' };
    putFirst('/ours', env);
    expect(env.PATH).toBe('/ours:/usr/bin:/bin');
  });
});

describe('installing packages', () => {
  beforeEach(() => {
    mkdirSync(join(dir, 'node_modules'));
    writeFileSync(join(dir, 'pnpm-lock.yaml'), 'one');
    writeFileSync(join(dir, 'pnpm-workspace.yaml'), '');
  });
  it('happens once for a lock file', () => {
    expect(arePackagesInstalled(dir)).toBe(false);
    writeFileSync(join(dir, 'node_modules', '.lai-installed'), fingerprint(dir));
    expect(arePackagesInstalled(dir)).toBe(true);
  });
  it('happens again when the lock file changed or node_modules is gone', () => {
    writeFileSync(join(dir, 'node_modules', '.lai-installed'), fingerprint(dir));
    writeFileSync(join(dir, 'pnpm-lock.yaml'), 'two');
    expect(arePackagesInstalled(dir)).toBe(false);
    writeFileSync(join(dir, 'pnpm-lock.yaml'), 'one');
    rmSync(join(dir, 'node_modules'), { recursive: true });
    expect(arePackagesInstalled(dir)).toBe(false);
  });
});

describe('finding Redis', () => {
  it('prefers redis-server, accepts valkey-server', () => {
    const valkey = program('bin', 'valkey-server');
    const path = { PATH: join(dir, 'bin') };
    // The usual folders come after PATH, so this machine's own redis-server may be found first.
    const found = findRedis(dir, path);
    expect(found === valkey || found?.endsWith('/redis-server')).toBe(true);
    const redis = program('bin', 'redis-server');
    expect(findRedis(dir, path)).toBe(redis);
  });
  it('believes LAI_REDIS_SERVER and refuses a wrong one', async () => {
    const env = { PATH: '', LAI_REDIS_SERVER: program('mine') };
    await ensureRedis(dir, env);
    expect(env.LAI_REDIS_SERVER).toBe(join(dir, 'mine'));
    await expect(ensureRedis(dir, { PATH: '', LAI_REDIS_SERVER: join(dir, 'nowhere') })).rejects.toThrow(Stop);
  });
});

describe('installing Redis', () => {
  const on =
    (...tools: string[]) =>
    (tool: string) =>
      tools.includes(tool);
  it('uses the package manager directly as root', () => {
    const plan = redisPlan({ has: on('apt-get'), isRoot: true, sudoWorks: false });
    expect(plan).toMatchObject({ kind: 'install', prefix: [], installer: { tool: 'apt-get' } });
  });
  it('goes through sudo only where sudo asks nothing', () => {
    expect(redisPlan({ has: on('dnf'), isRoot: false, sudoWorks: true })).toMatchObject({
      kind: 'install',
      prefix: ['sudo', '-n'],
    });
    expect(redisPlan({ has: on('dnf'), isRoot: false, sudoWorks: false })).toMatchObject({
      kind: 'advice',
      type: 'sudo dnf install valkey, then give the same command again',
    });
  });
  it('never runs brew as another user', () => {
    expect(redisPlan({ has: on('brew'), isRoot: false, sudoWorks: true })).toMatchObject({ kind: 'install', prefix: [] });
  });
  it('says what to do where there is no package manager', () => {
    const plan = redisPlan({ has: () => false, isRoot: true, sudoWorks: false });
    expect(plan).toMatchObject({ kind: 'advice', type: expect.stringContaining('LAI_REDIS_SERVER') });
  });
});

describe('stopping', () => {
  it('says what failed, why, and what to type', () => {
    expect(stopLines(new Stop('Redis is missing', 'first\nsecond', 'apt-get install redis'))).toEqual([
      'lai: Redis is missing',
      '  why: first\n       second',
      '  now: apt-get install redis',
    ]);
  });
});

describe('a link to a program that is gone', () => {
  it('is not taken for Redis', () => {
    mkdirSync(join(dir, '.toolchain', 'bin'), { recursive: true });
    symlinkSync(join(dir, 'gone'), join(dir, '.toolchain', 'bin', 'redis-server'));
    expect(findRedis(dir, { PATH: '' }) ?? '').not.toContain('.toolchain');
  });
});
