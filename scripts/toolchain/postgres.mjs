/**
 * PostgreSQL for the tests: found on this machine, else installed from Debian when we may. Lai itself needs none (SQLite is the
 * default), so what cannot be had here is told, not a failure.
 */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { quietly } from './children.mjs';
import { isExecutable, onPath } from './path.mjs';

/** @typedef {import('./path.mjs').Env} Env */

const debianDir = '/usr/lib/postgresql';
/** Where Homebrew and others put it. */
const usualDirs = ['/opt/homebrew/bin', '/usr/local/bin', '/usr/local/pgsql/bin', '/usr/bin'];

/**
 * The folder with `initdb` and `postgres`.
 * @param {Env} env
 * @returns {string | undefined}
 */
export function findPostgres(env) {
  const versions = existsSync(debianDir) ? readdirSync(debianDir).sort((a, b) => Number(b) - Number(a)) : [];
  const onPathDirs = (env['PATH'] ?? '').split(':').filter((dir) => dir !== '');
  const candidates = [...versions.map((version) => join(debianDir, version, 'bin')), ...onPathDirs, ...usualDirs];
  return candidates.find((dir) => isExecutable(join(dir, 'initdb')) && isExecutable(join(dir, 'postgres')));
}

/**
 * Debian's package would make and start a cluster on port 5432; a line of configuration that is there first keeps it from that.
 * @param {Env} env
 * @returns {Promise<{ dir: string } | { missing: string }>}
 */
export async function ensurePostgres(env) {
  const found = findPostgres(env);
  if (found !== undefined) return { dir: found };
  if (onPath('apt-get', env) === undefined) return { missing: 'there is no PostgreSQL, and no apt-get to install it with' };
  if (process.getuid?.() !== 0) return { missing: 'there is no PostgreSQL. Type: sudo apt-get install postgresql' };
  const folder = '/etc/postgresql-common/createcluster.d';
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'lai-tests.conf'), 'create_main_cluster = false\n');
  const apt = (/** @type {string[]} */ ...args) =>
    quietly('env', ['DEBIAN_FRONTEND=noninteractive', 'apt-get', '-q', '-o', 'DPkg::Lock::Timeout=120', ...args], { env });
  const install = () => apt('install', '-y', '--no-install-recommends', 'postgresql');
  if (!(await install()).ok) {
    await apt('update');
    const { ok, output } = await install();
    if (!ok) return { missing: `apt-get could not install PostgreSQL: ${output.split('\n').slice(-3).join(' ')}` };
  }
  const dir = findPostgres(env);
  return dir === undefined ? { missing: 'apt-get installed PostgreSQL, but its programs are not where they should be' } : { dir };
}
