/** Programs that come as npm packages, pinned to their bytes, and kept in `.toolchain`. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../engines/command.ts';
import { downloadAdvice } from '../toolchain/network.mjs';
import { fetchedPackage } from '../toolchain/npm-package.mjs';
import type { Pin } from '../toolchain/pins.mjs';

const KEPT = join(import.meta.dirname, '../../.toolchain/programs');

const FETCH_LIMIT_MS = 300_000;

/** The package's folder. `npm pack` instead of `npm install`: they are for other systems than this one. */
export const npmPackage = async (pin: Pin): Promise<string> => {
  const { name, version, integrity } = pin;
  // The bootstrap may have fetched the same bytes for this machine.
  const ours = fetchedPackage(join(KEPT, '../..'), pin);
  if (ours !== undefined) return ours;
  const home = await made(`${name}-${version}`, async (dir) => {
    const flags = ['pack', `${name}@${version}`, '--pack-destination', dir, '--loglevel=error', '--ignore-scripts'];
    const { ok, stdout, stderr, lastLine } = await run('npm', flags, { cwd: dir, limitMs: FETCH_LIMIT_MS });
    if (!ok) {
      const { why, next } = downloadAdvice(stderr || lastLine);
      throw new Error(`npm could not fetch ${name} ${version}: ${why.replaceAll('\n', '; ')}. ${next}`);
    }
    const packed = join(dir, stdout.trim().split('\n').at(-1) ?? '');
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
