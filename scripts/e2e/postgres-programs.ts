/**
 * PostgreSQL for the tests: found on this machine, else installed from Debian when we may. Lai itself needs none (SQLite is the
 * default), so what cannot be had here is told, not a failure.
 */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isExecutable, onPath } from '../engines/cache.ts';
import { run } from '../engines/command.ts';

const DEBIAN_DIR = '/usr/lib/postgresql';
/** Where Homebrew and others put it. */
const USUAL_DIRS = ['/opt/homebrew/bin', '/usr/local/bin', '/usr/local/pgsql/bin', '/usr/bin'];
const INSTALL_LIMIT_MS = 240_000;

/** The folder with `initdb` and `postgres`. */
const findPrograms = (): string | undefined => {
  const versions = existsSync(DEBIAN_DIR) ? readdirSync(DEBIAN_DIR).sort((a, b) => Number(b) - Number(a)) : [];
  const onPathDirs = (process.env['PATH'] ?? '').split(':').filter((dir) => dir !== '');
  const candidates = [...versions.map((version) => join(DEBIAN_DIR, version, 'bin')), ...onPathDirs, ...USUAL_DIRS];
  return candidates.find((dir) => isExecutable(join(dir, 'initdb')) && isExecutable(join(dir, 'postgres')));
};

/** Debian's package would make and start a cluster on port 5432; a line of configuration that is there first keeps it from that. */
export const ensurePostgres = async (): Promise<{ dir: string } | { missing: string }> => {
  const found = findPrograms();
  if (found !== undefined) return { dir: found };
  if (onPath('apt-get') === undefined) return { missing: 'there is no PostgreSQL, and no apt-get to install it with' };
  if (process.getuid?.() !== 0) return { missing: 'there is no PostgreSQL. Type: sudo apt-get install postgresql' };
  const folder = '/etc/postgresql-common/createcluster.d';
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'lai-tests.conf'), 'create_main_cluster = false\n');
  const apt = (...args: string[]) =>
    run('apt-get', ['-q', '-o', 'DPkg::Lock::Timeout=120', ...args], {
      env: { DEBIAN_FRONTEND: 'noninteractive' },
      limitMs: INSTALL_LIMIT_MS,
    });
  const install = () => apt('install', '-y', '--no-install-recommends', 'postgresql');
  if (!(await install()).ok) {
    await apt('update');
    const { ok, lastLine } = await install();
    if (!ok) return { missing: `apt-get could not install PostgreSQL: ${lastLine}` };
  }
  const dir = findPrograms();
  return dir === undefined ? { missing: 'apt-get installed PostgreSQL, but its programs are not where they should be' } : { dir };
};
