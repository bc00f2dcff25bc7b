import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { signWith } from '../../shared/src/ed25519.ts';
import { type ReleaseFile, ReleaseManifest, type ReleasePlatform, ReleaseVersion } from '../../shared/src/release.ts';
import { bundleAgent } from '../build.ts';
import { pack } from './archives.ts';
import { type NodeProgram, type NodeSource, nodeFromNpm } from './node-programs.ts';
import { programFiles } from './program-files.ts';

/** The oldest agent that can bring itself up to date. */
const FIRST_WITH_UPDATES = '0.1.0';

export interface ReleaseOptions {
  readonly version: string;
  /** Where releases lie side by side; the coordinator's LAI_RELEASES_DIR has the same form. */
  readonly outDir: string;
  readonly platforms: readonly ReleasePlatform[];
  /** Ed25519, base64. Without the private half the release is not signed yet (`signRelease`), and nobody takes it. */
  readonly key: { readonly publicKey: string; readonly privateKey?: string };
  readonly minimumVersion?: string;
  readonly nodeSource?: NodeSource;
  /** Larger archives, sooner. */
  readonly isQuick?: boolean;
  /** The release is there: its platforms stay and these are added. Throws `SourcesChanged` when its agent is not what would be built. */
  readonly added?: boolean;
  /** Told before each step that takes its time. */
  readonly say?: (step: string) => void;
  /** A last hand on the content of `versions/<version>`; for tests that need a bad release. */
  readonly onVersion?: (dir: string) => void;
}

/** The release that platforms were to be added to was built from other sources. */
export class SourcesChanged extends Error {}

/**
 * Makes `<outDir>/<version>/`, whole or not at all: agent.tar.gz, an archive per platform, manifest.json, SHA256SUMS, and their
 * signatures; beside it `release.pub`. What is in the archives: agent/src/service/DESIGN.md. The same source gives the same bytes.
 */
export const buildRelease = async (options: ReleaseOptions): Promise<string> => {
  const { outDir, platforms, key, isQuick = false, added = false, say = () => {} } = options;
  const version = ReleaseVersion.parse(options.version);
  const home = join(outDir, version);
  if (existsSync(home) && !added) throw new Error(`${home} is there already. A release is never changed: raise the version.`);
  mkdirSync(outDir, { recursive: true });
  const staging = mkdtempSync(join(outDir, `.${version}-`));
  try {
    const release = join(staging, 'release');
    const versionDir = join(staging, 'version');
    for (const dir of [release, versionDir]) mkdirSync(dir);
    const programs = await programsFor(platforms, options.nodeSource ?? nodeFromNpm, say);
    const node = programs.values().next().value;
    if (!node) throw new Error('a release needs a platform');

    say('building the agent');
    await bundleAgent({ outDir: versionDir, version, releaseKey: key.publicKey });
    const launcher = join(staging, 'lai-launch.js');
    renameSync(join(versionDir, 'lai-launch.js'), launcher);
    writeFileSync(join(versionDir, 'runtime'), `${node.version}\n`);
    options.onVersion?.(versionDir);

    const file = async (name: string, dir: string): Promise<ReleaseFile> => {
      await pack(dir, join(release, name), { isQuick });
      const bytes = readFileSync(join(release, name));
      return { name, sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length };
    };
    const manifest: ReleaseManifest = {
      version,
      minimumVersion: options.minimumVersion ?? FIRST_WITH_UPDATES,
      agent: await file('agent.tar.gz', versionDir),
      platforms: {},
    };
    if (added) takeAlong(home, release, manifest);
    for (const [platform, program] of programs) {
      say(`packing the agent for ${platform}`);
      const tree = join(staging, platform);
      await layOut(tree, { platform, program, version, versionDir, launcher });
      const archive = await file(`${platform}${platform.startsWith('win32') ? '.zip' : '.tar.gz'}`, tree);
      manifest.platforms[platform] = { runtime: program.version, archive };
      rmSync(tree, { recursive: true });
    }
    const archives = [manifest.agent, ...Object.values(manifest.platforms).map(({ archive }) => archive)];
    writeFileSync(join(release, 'manifest.json'), `${JSON.stringify(ReleaseManifest.parse(manifest), null, 2)}\n`);
    writeFileSync(join(release, 'SHA256SUMS'), archives.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join(''));
    if (key.privateKey !== undefined) await signRelease(release, key.privateKey);
    // A directory cannot take the place of one that has files: for a moment there is none, and readers look again in two seconds.
    if (added) renameSync(home, join(staging, 'before'));
    renameSync(release, home);
    writeFileSync(join(outDir, 'release.pub'), `${key.publicKey}\n`);
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
  return home;
};

/** Can be done elsewhere and later: the key needs to be nowhere near where the release is built. */
export const signRelease = async (dir: string, privateKey: string): Promise<void> => {
  for (const name of ['manifest.json', 'SHA256SUMS'])
    writeFileSync(join(dir, `${name}.sig`), `${await signWith(privateKey, readFileSync(join(dir, name)))}\n`);
};

/** What the release that is there already holds for other platforms. */
const takeAlong = (home: string, release: string, manifest: ReleaseManifest): void => {
  const before = ReleaseManifest.parse(JSON.parse(readFileSync(join(home, 'manifest.json'), 'utf8')));
  if (before.agent.sha256 !== manifest.agent.sha256) throw new SourcesChanged(`${home} was made of other sources`);
  for (const [platform, entry] of Object.entries(before.platforms)) {
    linkSync(join(home, entry.archive.name), join(release, entry.archive.name));
    manifest.platforms[platform as ReleasePlatform] = entry;
  }
};

const programsFor = async (
  platforms: readonly ReleasePlatform[],
  source: NodeSource,
  say: (step: string) => void,
): Promise<Map<ReleasePlatform, NodeProgram>> => {
  const programs = new Map<ReleasePlatform, NodeProgram>();
  for (const platform of platforms) {
    say(`fetching Node for ${platform}`);
    const program = await source(platform);
    if (!program) throw new Error(`there is no Node for ${platform} where it is taken from; see docs/releases.md`);
    programs.set(platform, program);
  }
  if (new Set([...programs.values()].map(({ version }) => version)).size > 1)
    throw new Error('all platforms of a release have the same Node, because they share one agent.tar.gz');
  return programs;
};

/** A program folder as agent/src/service/layout.ts draws it. */
const layOut = async (
  tree: string,
  parts: { platform: ReleasePlatform; program: NodeProgram; version: string; versionDir: string; launcher: string },
): Promise<void> => {
  const { platform, program, version, versionDir, launcher } = parts;
  const runtime = join(tree, 'runtime', program.version);
  const put = (from: string, to: string, mode = 0o644) => {
    mkdirSync(dirname(to), { recursive: true });
    copyFileSync(from, to);
    chmodSync(to, mode);
  };
  if (platform.startsWith('win32')) {
    put(program.path, join(runtime, 'node.exe'));
    put(program.path, join(tree, 'node.exe'));
  } else {
    put(program.path, join(runtime, 'bin', 'node'), 0o755);
  }
  if (program.licensePath) put(program.licensePath, join(runtime, 'LICENSE'));
  for (const name of ['lai-agent.js', 'lai-mock-engine.js', 'runtime'])
    put(join(versionDir, name), join(tree, 'versions', version, name));
  put(launcher, join(tree, 'lai-launch.js'));
  for (const { path, name, mode } of await programFiles(platform)) put(path, join(tree, name), mode);
};
