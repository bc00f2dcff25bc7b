import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateIdentityKeys, type IdentityKeys, isSignedBy } from '../../shared/src/ed25519.ts';
import { RELEASE_FILE_NAME, ReleaseManifest } from '../../shared/src/release.ts';
import { buildRelease, signRelease } from './build-release.ts';
import { makeReleaseKey, readReleaseKey } from './key.ts';
import type { NodeSource } from './node-programs.ts';

const LIMIT_MS = 120_000;
const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

describe('a release', () => {
  let dir: string;
  let key: IdentityKeys;
  let home: string;
  let nodeSource: NodeSource;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'lai-release-'));
    key = await generateIdentityKeys();
    // As large as a test needs, and a program that runs.
    const path = join(dir, 'node');
    writeFileSync(path, `#!/bin/sh\nexec '${process.execPath}' "$@"\n`, { mode: 0o755 });
    nodeSource = async () => ({ version: process.versions.node, path, licensePath: null });
    home = await buildRelease({ version: '9.1.0-rc.1', outDir: join(dir, 'out'), platforms: ['linux-x64'], key, nodeSource });
  }, LIMIT_MS);
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  const manifest = () => ReleaseManifest.parse(JSON.parse(readFileSync(join(home, 'manifest.json'), 'utf8')));
  const unpacked = (name: string) => {
    const to = mkdtempSync(join(dir, 'unpacked-'));
    execFileSync('tar', ['-xzpf', join(home, name), '-C', to]);
    return to;
  };

  it('holds the files that a coordinator serves, and no other', () => {
    expect(readdirSync(home).filter((name) => !RELEASE_FILE_NAME.test(name))).toEqual([]);
    expect(readdirSync(home).sort()).toEqual([
      ...['SHA256SUMS', 'SHA256SUMS.sig', 'agent.tar.gz', 'linux-x64.tar.gz', 'manifest.json', 'manifest.json.sig'],
    ]);
    expect(readdirSync(join(dir, 'out')).sort()).toEqual(['9.1.0-rc.1', 'release.pub']);
  });

  it('is signed as what it says, and says what it is', async () => {
    for (const name of ['manifest.json', 'SHA256SUMS']) {
      const signature = readFileSync(join(home, `${name}.sig`), 'utf8').trim();
      expect(await isSignedBy(key.publicKey, signature, readFileSync(join(home, name)))).toBe(true);
    }
    const { agent, platforms, version } = manifest();
    expect(version).toBe('9.1.0-rc.1');
    const archives = [agent, ...Object.values(platforms).map(({ archive }) => archive)];
    for (const { name, bytes, sha256: sum } of archives) {
      expect({ sum: sha256(join(home, name)), bytes: statSync(join(home, name)).size }).toEqual({ sum, bytes });
    }
    execFileSync('sha256sum', ['--check', '--strict', '--quiet', 'SHA256SUMS'], { cwd: home });
  });

  it('is an update of 2 MB at most', () => {
    expect(manifest().agent.bytes).toBeLessThan(2_000_000);
    expect(statSync(join(unpacked('agent.tar.gz'), 'lai-agent.js')).size).toBeLessThan(2_000_000);
  });

  it('unpacks to a program folder that runs as that version', () => {
    const folder = unpacked('linux-x64.tar.gz');
    execFileSync('ln', ['-s', 'versions/9.1.0-rc.1', join(folder, 'current')]);
    expect(execFileSync(join(folder, 'lai-agent'), ['--version'], { encoding: 'utf8' }).trim()).toBe('9.1.0-rc.1');
    expect(statSync(join(folder, 'runtime', process.versions.node, 'bin', 'node')).mode & 0o777).toBe(0o755);
  });

  it('has the Node as it came', () => {
    const folder = unpacked('linux-x64.tar.gz');
    expect(sha256(join(folder, 'runtime', process.versions.node, 'bin', 'node'))).toBe(sha256(join(dir, 'node')));
  });

  it(
    'is the same again, byte for byte',
    async () => {
      const again = await buildRelease({
        ...{ version: '9.1.0-rc.1', outDir: join(dir, 'again'), platforms: ['linux-x64'], key, nodeSource },
      });
      for (const name of readdirSync(home)) expect([name, sha256(join(again, name))]).toEqual([name, sha256(join(home, name))]);
    },
    LIMIT_MS,
  );

  it('is never built over, and never half there', async () => {
    const common = { outDir: join(dir, 'out'), key, isQuick: true };
    await expect(buildRelease({ ...common, version: '9.1.0-rc.1', platforms: ['linux-x64'], nodeSource })).rejects.toThrow(
      'never changed',
    );
    await expect(
      buildRelease({ ...common, version: '9.2.0', platforms: ['darwin-arm64'], nodeSource: async () => null }),
    ).rejects.toThrow('no Node for darwin-arm64');
    await expect(buildRelease({ ...common, version: 'newest', platforms: ['linux-x64'], nodeSource })).rejects.toThrow();
    expect(readdirSync(join(dir, 'out')).sort()).toEqual(['9.1.0-rc.1', 'release.pub']);
  });

  it(
    'can be signed elsewhere, later',
    async () => {
      const unsigned = await buildRelease({
        ...{ version: '9.1.1', outDir: join(dir, 'later'), platforms: ['linux-x64'], nodeSource, isQuick: true },
        key: { publicKey: key.publicKey },
        onVersion: (versionDir) => appendFileSync(join(versionDir, 'lai-agent.js'), '// touched\n'),
      });
      expect(readdirSync(unsigned)).not.toContain('manifest.json.sig');
      await signRelease(unsigned, key.privateKey);
      const signature = readFileSync(join(unsigned, 'manifest.json.sig'), 'utf8').trim();
      expect(await isSignedBy(key.publicKey, signature, readFileSync(join(unsigned, 'manifest.json')))).toBe(true);
    },
    LIMIT_MS,
  );

  it('is signed with a key that its owner alone can read, and that is not written over', async () => {
    const path = join(dir, 'release.key');
    const made = await makeReleaseKey(path);
    expect(readReleaseKey(path)).toEqual(made);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await expect(makeReleaseKey(path)).rejects.toThrow('EEXIST');
  });
});
