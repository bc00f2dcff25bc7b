/**
 * Makes a release: the agent, for coordinators to serve, and beside it the coordinator for machines without containers.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { RELEASE_PLATFORMS, type ReleasePlatform } from '../../shared/src/release.ts';
import { optionsOr } from '../command-line.ts';
import { buildRelease, signRelease } from './build-release.ts';
import { packCoordinator } from './coordinator-archive.ts';
import { readReleaseKey } from './key.ts';
import { NODE_VERSION, type NodeSource, nodeFromNodejsOrg, nodeFromNpm } from './node-programs.ts';
import { writeSbom } from './sbom.ts';

const SOURCES: Record<string, NodeSource> = { npm: nodeFromNpm, 'nodejs.org': nodeFromNodejsOrg };

const USAGE = `usage: npm run release -- --version 0.2.0 --out DIR --key FILE [options]
       npm run release -- --version 0.2.0 --out DIR --public-key BASE64   without signatures, where the private key must not be
       npm run release -- --sign DIR/0.2.0 --key FILE                     the signatures, where it is
  --platforms <names>       some, with commas: linux-x64,win32-x64
  --node-from <source>      npm (default) or nodejs.org
  --minimum-version <v>     the oldest agent that may come to this version in one step`;
const values = optionsOr(USAGE, {
  version: { type: 'string' },
  out: { type: 'string' },
  key: { type: 'string' },
  'public-key': { type: 'string' },
  sign: { type: 'string' },
  platforms: { type: 'string' },
  'minimum-version': { type: 'string' },
  'node-from': { type: 'string', default: 'npm' },
});

const main = async (): Promise<void> => {
  const key = values.key === undefined ? null : readReleaseKey(values.key);
  if (values.sign !== undefined) {
    if (!key) throw new Error('--sign needs --key FILE');
    await signRelease(values.sign, key.privateKey);
    console.log(`${values.sign} is signed with ${key.publicKey}`);
    return;
  }
  const { version, out } = values;
  const publicKey = key?.publicKey ?? values['public-key'];
  if (!version || !out || !publicKey) throw new Error('--version, --out and --key (or --public-key) are needed');
  const nodeSource = SOURCES[values['node-from']];
  if (!nodeSource) throw new Error(`--node-from: ${Object.keys(SOURCES).join(' or ')}`);
  const platforms = await availablePlatforms(nodeSource);
  const home = await buildRelease({
    ...{ version, outDir: resolve(out), platforms, nodeSource },
    key: { publicKey, ...(key ? { privateKey: key.privateKey } : {}) },
    ...(values['minimum-version'] ? { minimumVersion: values['minimum-version'] } : {}),
  });
  writeSbom(join(home, 'sbom.cdx.json'), { version, nodeVersion: NODE_VERSION });
  const coordinator = await packCoordinator(version, resolve(out));
  for (const path of [...readdirSync(home).map((name) => join(home, name)), coordinator]) console.log(`${mib(path)}  ${path}`);
  if (!existsSync(join(home, 'manifest.json.sig')))
    console.log(`Not signed yet: npm run release -- --sign ${home} --key FILE, where the key is.`);
};

/** Those that were asked for, or every one that there is a Node for; what is missing is said, not passed over. */
const availablePlatforms = async (nodeSource: NodeSource): Promise<ReleasePlatform[]> => {
  if (values.platforms !== undefined) {
    return values.platforms.split(',').map((word) => {
      const platform = RELEASE_PLATFORMS.find((known) => known === word);
      if (!platform) throw new Error(`there is no platform ${word}: ${RELEASE_PLATFORMS.join(', ')}`);
      return platform;
    });
  }
  const found = await Promise.all(RELEASE_PLATFORMS.map(async (platform) => ((await nodeSource(platform)) ? platform : null)));
  const missing = RELEASE_PLATFORMS.filter((platform) => !found.includes(platform));
  if (missing.length > 0)
    console.log(`Left out: ${missing.join(', ')}. npm has no Node ${NODE_VERSION} for them; --node-from nodejs.org has.`);
  return found.filter((platform) => platform !== null);
};

const mib = (path: string): string => `${(statSync(path).size / 1024 ** 2).toFixed(2)} MiB`.padStart(11);

main().catch((error: unknown) => {
  console.error(`release: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
});
