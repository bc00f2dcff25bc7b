import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isSignedBy } from '../../shared/src/ed25519.ts';
import { ReleaseManifest } from '../../shared/src/release.ts';
import { buildRelease } from './build-release.ts';
import { makeReleaseKey } from './key.ts';
import { makeForFleet, nextVersion } from './make-for-fleet.ts';
import type { NodeSource } from './node-programs.ts';

describe('makeForFleet', () => {
  let dir: string;
  let said: string[];
  let nodeSource: NodeSource;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'lai-make-'));
    said = [];
    writeFileSync(join(dir, 'node'), 'a program');
    nodeSource = async () => ({ version: '24.21.0', path: join(dir, 'node'), licensePath: null });
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  const outDir = () => join(dir, 'releases');
  const keyPath = () => join(dir, 'data', 'release.key');
  const make = (os: 'linux' | 'macos') =>
    makeForFleet({ os, outDir: outDir(), keyPath: keyPath(), nodeSource, say: (step) => said.push(step) });
  const manifestOf = async (version: string): Promise<ReleaseManifest> => {
    const home = join(outDir(), version);
    const bytes = readFileSync(join(home, 'manifest.json'));
    const signature = readFileSync(join(home, 'manifest.json.sig'), 'utf8').trim();
    expect(await isSignedBy(readFileSync(join(outDir(), 'release.pub'), 'utf8').trim(), signature, bytes)).toBe(true);
    const manifest = ReleaseManifest.parse(JSON.parse(bytes.toString()));
    for (const { archive } of Object.values(manifest.platforms))
      expect(statSync(join(home, archive.name)).size).toBe(archive.bytes);
    return manifest;
  };

  it('makes a key and a signed release for the system that was asked for, and says each step', async () => {
    await make('linux');
    expect(Object.keys((await manifestOf('0.1.0')).platforms)).toEqual(['linux-x64', 'linux-arm64']);
    expect(statSync(keyPath()).mode & 0o777).toBe(0o600);
    expect(said[0]).toContain('Keep a copy of it');
    expect(said.slice(1)).toEqual([
      'fetching Node for linux-x64',
      'fetching Node for linux-arm64',
      'building the agent',
      'packing the agent for linux-x64',
      'packing the agent for linux-arm64',
    ]);
  });

  it('adds another system to the same release while the sources are the same', async () => {
    await make('linux');
    const before = await manifestOf('0.1.0');
    await make('macos');
    const after = await manifestOf('0.1.0');
    expect(Object.keys(after.platforms).sort()).toEqual(['darwin-arm64', 'darwin-x64', 'linux-arm64', 'linux-x64']);
    expect(after.platforms['linux-x64']).toEqual(before.platforms['linux-x64']);
    expect(after.agent).toEqual(before.agent);
    expect(readdirSync(outDir()).sort()).toEqual(['0.1.0', 'release.pub']);
  });

  it('makes the next version for all systems when the sources have changed, because a release never changes', async () => {
    const key = await makeReleaseKey(join(dir, 'key'));
    await buildRelease({
      ...{ version: '0.1.4', outDir: outDir(), platforms: ['linux-x64'], key, nodeSource, isQuick: true },
      onVersion: (version) => writeFileSync(join(version, 'lai-agent.js'), 'other sources'),
    });
    await makeForFleet({ os: 'macos', outDir: outDir(), keyPath: join(dir, 'key'), nodeSource, say: (step) => said.push(step) });
    expect(Object.keys((await manifestOf('0.1.5')).platforms)).toEqual(['linux-x64', 'darwin-arm64', 'darwin-x64']);
    expect(Object.keys((await manifestOf('0.1.4')).platforms)).toEqual(['linux-x64']);
  });

  it('makes no second key: agents that have the first would take no update any more', async () => {
    await make('linux');
    rmSync(keyPath());
    await expect(make('macos')).rejects.toThrow('signed with a key that is not here');
    await makeReleaseKey(keyPath());
    await expect(make('macos')).rejects.toThrow('signed with another key');
    expect(Object.keys((await manifestOf('0.1.0')).platforms)).toEqual(['linux-x64', 'linux-arm64']);
  });
});

describe('nextVersion', () => {
  it.each([
    ['0.1.0', '0.1.1'],
    ['1.9.9', '1.9.10'],
    ['0.3.0-rc.1', '0.3.0'],
  ])('of %s is %s', (version, next) => {
    expect(nextVersion(version)).toBe(next);
  });
});
