/** Programs that come as npm packages, pinned to their bytes, and kept in `.toolchain`. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Pin } from '../toolchain/pins.mjs';

const KEPT = join(import.meta.dirname, '../../.toolchain/programs');

/** The package's folder. `npm pack` instead of `npm install`: they are for other systems than this one. */
export const npmPackage = async ({ name, version, integrity }: Pin): Promise<string> => {
  const home = await made(`${name}-${version}`, (dir) => {
    const flags = ['pack', `${name}@${version}`, '--pack-destination', dir, '--silent', '--ignore-scripts'];
    const packed = join(dir, execFileSync('npm', flags, { encoding: 'utf8' }).trim().split('\n').at(-1) ?? '');
    const found = `sha512-${createHash('sha512').update(readFileSync(packed)).digest('base64')}`;
    if (found !== integrity) throw new Error(`npm serves other bytes of ${name} ${version} than Lai was made with: ${found}`);
    unpack(packed, dir);
  });
  return join(home, 'package');
};

/** Made once; only a whole one gets its name. */
export const made = async (name: string, make: (dir: string) => void | Promise<void>): Promise<string> => {
  const home = join(KEPT, name);
  if (existsSync(home)) return home;
  mkdirSync(KEPT, { recursive: true });
  const draft = mkdtempSync(join(KEPT, `.${name}-`));
  try {
    await make(draft);
    renameSync(draft, home);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  return home;
};

export const unpack = (archive: string, dir: string): void => {
  if (archive.endsWith('.zip')) execFileSync('unzip', ['-q', archive, '-d', dir]);
  else execFileSync('tar', ['-xzf', archive, '-C', dir]);
  rmSync(archive);
};
