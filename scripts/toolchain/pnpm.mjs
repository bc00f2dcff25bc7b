/** pnpm in exactly the pinned version: fetched into `.toolchain` unless PATH already has it. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
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
 * @param {string} root
 * @param {import('./path.mjs').Env} env
 */
export async function ensurePnpm(root, env) {
  const bin = join(root, '.toolchain', 'bin');
  const script = join(bin, 'pnpm');
  if (fetchedPackage(root, pnpmPin) === undefined) {
    if (
      onPath('pnpm', env) !== undefined &&
      (await quietly('pnpm', ['--version'], { env, cwd: root })).output === pnpmPin.version
    )
      return;
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
