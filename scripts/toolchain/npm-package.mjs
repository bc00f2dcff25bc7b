/** Fetches one pinned npm package into `.toolchain/<name>-<version>` with the npm that is already here. */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { quietly } from './children.mjs';
import { downloadAdvice } from './network.mjs';
import { Stop } from './say.mjs';

/**
 * @typedef {import('./pins.mjs').Pin} Pin
 * @typedef {import('./path.mjs').Env} Env
 */

/** @param {string} root @param {Pin} pin */
const homeOf = (root, pin) => join(root, '.toolchain', `${pin.name}-${pin.version}`);

/** Folder of the fetched package, or undefined when it is not here yet. @param {string} root @param {Pin} pin */
export function fetchedPackage(root, pin) {
  const dir = join(homeOf(root, pin), 'node_modules', pin.name);
  return existsSync(dir) ? dir : undefined;
}

/**
 * The npm that started us, else the one on PATH.
 * @param {Env} env
 * @returns {[string, ...string[]]}
 */
export function npmCommand(env) {
  const cli = env['npm_execpath'];
  return cli !== undefined && /\bnpm-cli\.[cm]?js$/.test(cli) ? [process.execPath, cli] : ['npm'];
}

/** By npm's own settings, a network that swallows packets is reported only after several minutes. */
const impatience = [
  '--fetch-retries=3',
  '--fetch-retry-mintimeout=1000',
  '--fetch-retry-maxtimeout=5000',
  '--fetch-timeout=60000',
];

/** A lock file holding the pinned hash, so that `npm ci` accepts these bytes only. @param {Pin} pin */
export function lockFiles(pin) {
  const manifest = { name: 'lai-toolchain', version: '0.0.0', private: true, dependencies: { [pin.name]: pin.version } };
  return {
    'package.json': manifest,
    'package-lock.json': {
      name: manifest.name,
      version: manifest.version,
      lockfileVersion: 3,
      requires: true,
      packages: { '': manifest, [`node_modules/${pin.name}`]: { version: pin.version, integrity: pin.integrity } },
    },
  };
}

/**
 * Fetches the package, lets `verify` try it, and only then gives it its final name.
 * @param {string} root
 * @param {Pin} pin
 * @param {Env} env
 * @param {(dir: string) => Promise<string | undefined>} verify says what is wrong, if anything
 * @returns {Promise<string>} the package's folder
 */
export async function fetchPackage(root, pin, env, verify) {
  const home = homeOf(root, pin);
  const partial = `${home}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  for (const [name, content] of Object.entries(lockFiles(pin))) writeFileSync(join(partial, name), JSON.stringify(content));
  const [npm, ...first] = npmCommand(env);
  const flags = ['ci', '--prefix', partial, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', ...impatience];
  // Fetched once and kept here: npm's own copy in the user's cache would take the same space again.
  flags.push('--cache', join(partial, '.cache'));
  const patience = `fetching ${pin.name} ${pin.version}`;
  const fetched = await quietly(npm, [...first, ...flags], { env, cwd: partial, patience });
  if (!fetched.ok) {
    rmSync(partial, { recursive: true, force: true });
    const { why, next } = downloadAdvice(fetched.output);
    throw new Stop(`npm could not fetch ${pin.name} ${pin.version}`, why, next);
  }
  const problem = await verify(join(partial, 'node_modules', pin.name));
  if (problem !== undefined) {
    rmSync(partial, { recursive: true, force: true });
    throw new Stop(
      `${pin.name} ${pin.version} does not work here`,
      problem,
      'install it your own way, then give the same command again',
    );
  }
  rmSync(join(partial, '.cache'), { recursive: true, force: true });
  rmSync(home, { recursive: true, force: true });
  renameSync(partial, home);
  return join(home, 'node_modules', pin.name);
}
