/** pnpm in exactly the pinned version: fetched into `.toolchain` unless PATH already has it. */
import { mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { quietly } from './children.mjs';
import { fetchedPackage, fetchPackage } from './npm-package.mjs';
import { onPath, putFirst } from './path.mjs';
import { pnpmPin } from './pins.mjs';
import { say } from './say.mjs';

/** Children look for `pnpm` on PATH, and the package has only a script for Node. The path is relative: a clone may be moved. */
const launcher = `#!/bin/sh
exec node "$(dirname "$0")/../${pnpmPin.name}-${pnpmPin.version}/node_modules/pnpm/bin/pnpm.mjs" "$@"
`;

/** @param {string} file */
function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/**
 * Version of the pnpm on PATH. Its package.json tells at once; only where a wrapper hides it is pnpm itself asked (half a second).
 * @param {string} root
 * @param {import('./path.mjs').Env} env
 * @returns {Promise<string | undefined>}
 */
async function versionOnPath(root, env) {
  const found = onPath('pnpm', env);
  if (found === undefined) return undefined;
  const manifest = JSON.parse(read(join(dirname(realpathSync(found)), '..', 'package.json')) ?? '{}');
  if (manifest.name === 'pnpm') return manifest.version;
  return (await quietly(found, ['--version'], { env, cwd: root })).output;
}

/**
 * @param {string} root
 * @param {import('./path.mjs').Env} env
 */
export async function ensurePnpm(root, env) {
  const bin = join(root, '.toolchain', 'bin');
  const script = join(bin, 'pnpm');
  if (fetchedPackage(root, pnpmPin) === undefined) {
    if ((await versionOnPath(root, env)) === pnpmPin.version) return;
    say(`fetching pnpm ${pnpmPin.version} into .toolchain`);
    await fetchPackage(root, pnpmPin, env, async (dir) => {
      const { ok, output } = await quietly('node', [join(dir, 'bin', 'pnpm.mjs'), '--version'], { env, cwd: root });
      return ok && output === pnpmPin.version ? undefined : output || 'it does not start';
    });
  }
  if (read(script) !== launcher) {
    mkdirSync(bin, { recursive: true });
    writeFileSync(script, launcher, { mode: 0o755 });
  }
  putFirst(bin, env);
}
