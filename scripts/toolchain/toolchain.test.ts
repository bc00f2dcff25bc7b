import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stillGoing } from './children.mjs';
import { packagesToFetch } from './debian-redis.mjs';
import { downloadAdvice } from './network.mjs';
import { isNodeNewEnough, nodeAdvice } from './node.mjs';
import { lockFiles, npmCommand } from './npm-package.mjs';
import { arePackagesInstalled, installationStamp, sourcesFingerprint } from './packages.mjs';
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
  const install = (extent: 'running' | 'all') =>
    writeFileSync(join(dir, 'node_modules', '.lai-installed'), installationStamp(dir, extent));
  it('happens once for a lock file', () => {
    expect(arePackagesInstalled(dir, 'running')).toBe(false);
    install('running');
    expect(arePackagesInstalled(dir, 'running')).toBe(true);
  });
  it('happens again when the tools for tests are wanted, too, and not the other way round', () => {
    install('running');
    expect(arePackagesInstalled(dir, 'all')).toBe(false);
    install('all');
    expect(arePackagesInstalled(dir, 'running')).toBe(true);
  });
  it('happens again when the lock file changed or node_modules is gone', () => {
    install('all');
    writeFileSync(join(dir, 'pnpm-lock.yaml'), 'two');
    expect(arePackagesInstalled(dir, 'all')).toBe(false);
    writeFileSync(join(dir, 'pnpm-lock.yaml'), 'one');
    rmSync(join(dir, 'node_modules'), { recursive: true });
    expect(arePackagesInstalled(dir, 'all')).toBe(false);
  });
});

describe('building packages', () => {
  it('happens again when a source, an installer or a new file changes what is built, not for a test', () => {
    for (const folder of ['shared/src', 'app/src/inner', 'deploy/agent', 'scripts'])
      mkdirSync(join(dir, folder), { recursive: true });
    for (const file of [
      'pnpm-lock.yaml',
      'scripts/build.ts',
      'app/package.json',
      'app/src/inner/a.ts',
      'deploy/agent/install.sh',
    ])
      writeFileSync(join(dir, file), file);
    const seen = [sourcesFingerprint(dir, ['app'])];
    for (const [file, text] of [
      ['app/src/inner/a.ts', 'changed'],
      ['shared/src/b.ts', 'new'],
      ['deploy/agent/install.sh', 'changed'],
    ] as const) {
      writeFileSync(join(dir, file), text);
      seen.push(sourcesFingerprint(dir, ['app']));
    }
    expect(new Set(seen).size).toBe(seen.length);
    writeFileSync(join(dir, 'app/src/inner/a.test.ts'), 'a test');
    expect(sourcesFingerprint(dir, ['app'])).toBe(seen.at(-1));
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
    const plan = redisPlan({ has: on('pacman'), isRoot: true, sudoWorks: false });
    expect(plan).toMatchObject({ kind: 'install', prefix: [], installer: { tool: 'pacman' } });
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

describe('Redis on a Mac without Homebrew', () => {
  it('gets a sentence that names Homebrew', () => {
    const plan = redisPlan({ has: () => false, isRoot: false, sudoWorks: false, platform: 'darwin' });
    expect(plan).toMatchObject({ kind: 'advice', type: expect.stringContaining('https://brew.sh') });
  });
});

describe('packagesToFetch', () => {
  it('takes what apt would add or replace, without the C library', () => {
    const simulated = `NOTE: This is only a simulation!
Inst libjemalloc2 (5.3.0-1 Debian:12.11/oldstable [amd64])
Inst libc6 [2.36-9+deb12u9] (2.36-9+deb12u10 Debian:12.11/oldstable [amd64])
Inst redis-tools (5:7.0.15-1~deb12u5 Debian-Security:12/oldstable-security [amd64])
Conf redis-tools (5:7.0.15-1~deb12u5 Debian-Security:12/oldstable-security [amd64])`;
    expect(packagesToFetch(simulated)).toEqual(['libjemalloc2', 'redis-tools']);
  });
  it('takes nothing when apt would do nothing', () => {
    expect(packagesToFetch('redis-tools is already the newest version.')).toEqual([]);
  });
});

describe('downloadAdvice', () => {
  it.each([
    ['npm error code SELF_SIGNED_CERT_IN_CHAIN', /does not trust/, /NODE_EXTRA_CA_CERTS/],
    ['npm error code UNABLE_TO_GET_ISSUER_CERT_LOCALLY', /does not trust/, /NODE_EXTRA_CA_CERTS/],
    ['ERR_PNPM_META_FETCH_FAIL unable to verify the first certificate', /does not trust/, /NODE_EXTRA_CA_CERTS/],
    ['Certificate verification failed: The certificate is NOT trusted.', /does not trust/, /NODE_EXTRA_CA_CERTS/],
    ['npm error code CERT_HAS_EXPIRED', /clock/, /date/],
    ['npm error code EINTEGRITY', /other bytes/, /do not go on/],
    ['npm error code ENOTFOUND\nnpm error getaddrinfo ENOTFOUND registry.example', /looked up/, /HTTPS_PROXY/],
    ["W: Failed to fetch x  Temporary failure resolving 'deb.debian.org'", /looked up/, /HTTPS_PROXY/],
    ['npm error code ECONNREFUSED', /does not answer/, /another network/],
    ['npm error network Socket timeout ERR_SOCKET_TIMEOUT', /does not answer/, /another network/],
    ['npm error code E401', /refuses/, /npm config get registry/],
    ['npm error code E404', /does not have/, /mirror/],
    ['HTTP 407 Proxy Authentication Required', /password/, /HTTPS_PROXY/],
    ['ENOSPC: no space left on device', /full/, /1 GB/],
    ['EACCES: permission denied, mkdir', /may not be written/, /owner/],
  ])('explains %j', (output, why, next) => {
    const advice = downloadAdvice(`first line\n${output}\nlast line`);
    expect(advice.why).toMatch(why);
    expect(advice.why).toContain(output.split('\n')[0]);
    expect(advice.next).toMatch(next);
  });
  it('shows the last lines of what it does not know', () => {
    expect(downloadAdvice('one\n\ntwo\nthree\nfour\nfive\nsix')).toEqual({
      why: 'two\nthree\nfour\nfive\nsix',
      next: 'check the network connection, then give the same command again; what has arrived is kept',
    });
    expect(downloadAdvice('').why).toBe('it printed nothing');
  });
});

describe('stillGoing', () => {
  it('adds the newest count of packages when there is one', () => {
    const output = 'Progress: resolved 0, reused 1\nProgress: resolved 300, reused 299, downloaded 0, added 12\n';
    expect(stillGoing('installing packages', 10, output)).toBe(
      'still installing packages, 10 s (resolved 300, reused 299, downloaded 0, added 12)',
    );
    expect(stillGoing('building', 5, 'turbo')).toBe('still building, 5 s');
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
