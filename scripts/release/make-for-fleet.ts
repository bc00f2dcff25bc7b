/**
 * Makes the release that machines of one system install, for the coordinator of this clone, which starts this program when the first
 * of them is to join. Says on standard output what it does, one line per step.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { compareVersions, ReleaseManifest, type ReleasePlatform, ReleaseVersion } from '../../shared/src/release.ts';
import { JOIN_SYSTEMS, type JoinSystem } from '../../shared/src/release-api.ts';
import { readOrExplain } from '../command-line.ts';
import { buildRelease, type ReleaseOptions, SourcesChanged } from './build-release.ts';
import { makeReleaseKey, readReleaseKey } from './key.ts';
import { type NodeSource, nodeFromNodejsOrg, nodeFromNpm } from './node-programs.ts';

const ROOT = join(import.meta.dirname, '../..');

export const SYSTEM_PLATFORMS: Readonly<Record<JoinSystem, readonly ReleasePlatform[]>> = {
  linux: ['linux-x64', 'linux-arm64'],
  macos: ['darwin-arm64', 'darwin-x64'],
  windows: ['win32-x64'],
};

/** npm has no Node of this version for Macs; the project's own server has. */
const nodeFor: NodeSource = (platform) => (platform.startsWith('darwin') ? nodeFromNodejsOrg : nodeFromNpm)(platform);

export interface FleetRelease {
  readonly os: JoinSystem;
  /** The coordinator's folder of releases. */
  readonly outDir: string;
  /** Private half of the signing key; made when neither it nor a release is there. */
  readonly keyPath: string;
  readonly say: (step: string) => void;
  /** Where Node comes from; for tests. */
  readonly nodeSource?: NodeSource;
}

/**
 * Adds the platforms of the system to the newest release as long as the sources are those that it was made of; else makes the next
 * version, for all platforms that were there. Returns the release's folder.
 */
export const makeForFleet = async ({ os, outDir, keyPath, say, nodeSource = nodeFor }: FleetRelease): Promise<string> => {
  const key = await signingKey(outDir, keyPath, say);
  const newest = newestIn(outDir);
  const platforms = SYSTEM_PLATFORMS[os];
  const build = (version: string, wanted: readonly ReleasePlatform[], options: Partial<ReleaseOptions>) =>
    buildRelease({ version, outDir, platforms: wanted, key, nodeSource, isQuick: true, say, ...options });
  if (!newest) return build(versionOfClone(), platforms, {});
  try {
    return await build(newest.version, platforms, { added: true });
  } catch (error) {
    if (!(error instanceof SourcesChanged)) throw error;
    const version = nextVersion(newest.version);
    say(`the sources are not those of release ${newest.version} any more; making ${version}`);
    return build(version, [...new Set([...newest.platforms, ...platforms])], {});
  }
};

/** The key that agents get built in. A second one would cut off every agent that has the first. */
const signingKey = async (outDir: string, keyPath: string, say: (step: string) => void) => {
  const pub = join(outDir, 'release.pub');
  const known = existsSync(pub) ? readFileSync(pub, 'utf8').trim() : null;
  if (!existsSync(keyPath) && known !== null)
    throw new Error(
      `the releases in ${outDir} are signed with a key that is not here (${keyPath}). Make the release where that key is: npm run release, see docs/releases.md`,
    );
  if (!existsSync(keyPath)) {
    mkdirSync(dirname(keyPath), { recursive: true, mode: 0o700 });
    const made = await makeReleaseKey(keyPath);
    say(
      `made the key that your releases are signed with: ${keyPath}. Keep a copy of it. Updates are safer when it lies on another machine; see docs/releases.md`,
    );
    return made;
  }
  const key = readReleaseKey(keyPath);
  if (known !== null && known !== key.publicKey)
    throw new Error(`the releases in ${outDir} are signed with another key than ${keyPath}; see docs/releases.md`);
  return key;
};

const newestIn = (outDir: string): { version: string; platforms: readonly ReleasePlatform[] } | null => {
  const versions = (existsSync(outDir) ? readdirSync(outDir) : []).filter((name) => ReleaseVersion.safeParse(name).success);
  const [version] = versions.sort((a, b) => compareVersions(b, a));
  if (version === undefined) return null;
  const manifest = ReleaseManifest.parse(JSON.parse(readFileSync(join(outDir, version, 'manifest.json'), 'utf8')));
  return { version, platforms: Object.keys(manifest.platforms) as ReleasePlatform[] };
};

const versionOfClone = (): string =>
  (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version;

/** Of a candidate the version that it was one for. */
export const nextVersion = (version: string): string => {
  const [major, minor, patch] = version.split(/[.-]/).map(Number);
  return version.includes('-') ? `${major}.${minor}.${patch}` : `${major}.${minor}.${(patch ?? 0) + 1}`;
};

const USAGE = 'usage: node scripts/release/make-for-fleet.ts --os linux|macos|windows --out DIR --key FILE';

if (import.meta.main) {
  const wanted = readOrExplain(USAGE, (args) => {
    const { values } = parseArgs({
      args: [...args],
      options: { os: { type: 'string' }, out: { type: 'string' }, key: { type: 'string' } },
    });
    const os = JOIN_SYSTEMS.find((known) => known === values.os);
    if (!os || !values.out || !values.key) throw new Error('--os, --out and --key are needed.');
    return { os, outDir: values.out, keyPath: values.key };
  });
  try {
    const home = await makeForFleet({ ...wanted, say: (step) => console.log(step) });
    console.log(`the release is in ${home}`);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exit(1);
  }
}
