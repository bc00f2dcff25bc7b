import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { engineCacheDir, onPath } from '../engines/cache.ts';
import { unpackDebianPackages } from '../engines/debian.ts';
import { shellcheckFindings, shellScripts } from './shell.ts';

/** Where no shellcheck is installed, Debian's is unpacked beside the engines; the suite `unit` uses an installed one alone. */
const cached = join(engineCacheDir(), 'shellcheck');
let shellcheck = onPath('shellcheck');
let why: string | undefined;

beforeAll(async () => {
  if (shellcheck !== undefined) return;
  const path = join(cached, 'usr/bin/shellcheck');
  const suite = /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync('/etc/os-release', { encoding: 'utf8' }))?.[1];
  if (!existsSync(path))
    why = await unpackDebianPackages({
      suite: suite ?? 'stable',
      packages: ['shellcheck', 'libgmp10', 'libffi8'],
      target: cached,
    });
  if (why === undefined) shellcheck = path;
  else console.warn(`shellcheck: skipped, because ${why}`);
});

it.for(shellScripts().map((path) => [basename(path), path] as const))(
  'shellcheck has nothing to say about %s',
  ([, path], { skip }) => {
    if (shellcheck === undefined) return skip(why);
    const libraries = join(cached, 'usr/lib', process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu');
    expect(shellcheckFindings(path, shellcheck, { ...process.env, LD_LIBRARY_PATH: libraries })).toEqual([]);
  },
);
