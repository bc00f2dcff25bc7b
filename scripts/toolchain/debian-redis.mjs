/**
 * Redis on Debian and Ubuntu without rights over the machine: apt downloads and verifies the packages, `dpkg-deb` unpacks them into
 * `.toolchain/redis`. Nothing is installed on the machine and no service is started.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { quietly } from './children.mjs';
import { onPath } from './path.mjs';

/** @typedef {import('./path.mjs').Env} Env */

/** Debian ships one program under three names; this package has it without the service on port 6379 that `redis-server` starts. */
const PACKAGE = 'redis-tools';
const PROGRAM = 'redis-check-rdb';
/** Beside the server: a launcher cannot pass on the name that it was called by, and `lai doctor --repair` needs the checker. */
const CHECKER = 'redis-check-aof';

/** Its folder is relative, because a clone may be moved. The unpacked libraries come first, then the machine's own. */
const launcher = `#!/bin/sh
here=\${0%/*}/../redis
for dir in "$here"/usr/lib/*-linux-* "$here"/lib/*-linux-*; do
  [ -d "$dir" ] && LD_LIBRARY_PATH=$dir\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
done
export LD_LIBRARY_PATH
exec "$here/usr/bin/\${0##*/}" "$@"
`;

/** @param {Env} env */
export const canUnpackDebian = (env) =>
  process.platform === 'linux' && ['apt-get', 'dpkg-deb'].every((tool) => onPath(tool, env) !== undefined);

/** @param {string} root */
export const unpackedRedis = (root) => join(root, '.toolchain', 'bin', 'redis-server');

/**
 * Names of the packages that `apt-get --simulate install` would add or replace. The C library stays the machine's own: the loader
 * that starts the program belongs to it.
 * @param {string} simulated
 */
export function packagesToFetch(simulated) {
  const names = [...simulated.matchAll(/^Inst (\S+)/gm)].map(([, name = '']) => name);
  return names.filter((name) => name !== 'libc6' && name !== 'libc-bin');
}

/**
 * apt's own settings, so that it writes nothing outside of `dir`. With lists of our own it also knows packages on a machine whose lists
 * are empty or stale.
 * @param {string} dir @param {{ ownLists: boolean }} choice
 */
function aptSettings(dir, { ownLists }) {
  const settings = {
    'Dir::Cache': dir,
    'Debug::NoLocking': 'true',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '3',
    // As root, apt would download as the user `_apt`, who cannot write here.
    'APT::Sandbox::User': userInfo().username,
    ...(ownLists ? { 'Dir::State::lists': join(dir, 'lists') } : {}),
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}

/**
 * @param {string} root
 * @param {Env} env
 * @param {(line: string) => void} say
 * @returns {Promise<{ kind: 'ready', program: string } | { kind: 'failed', output: string }>} `output` is what apt or dpkg-deb printed
 */
export async function unpackDebianRedis(root, env, say) {
  const draft = join(root, '.toolchain', 'redis.partial');
  rmSync(draft, { recursive: true, force: true });
  const apt = join(draft, 'apt');
  const debs = join(draft, 'debs');
  const tree = join(draft, 'tree');
  for (const dir of [debs, tree, join(apt, 'lists', 'partial'), join(apt, 'archives', 'partial')])
    mkdirSync(dir, { recursive: true });
  try {
    const fetched = await fetchDebs(apt, debs, env, say);
    if (!fetched.ok) return { kind: 'failed', output: fetched.output };
    for (const deb of readdirSync(debs)) {
      const unpacked = await quietly('dpkg-deb', ['-x', join(debs, deb), tree], { env });
      if (!unpacked.ok) return { kind: 'failed', output: unpacked.output };
    }
    symlinkSync(PROGRAM, join(tree, 'usr', 'bin', 'redis-server'));
    if (!existsSync(join(tree, 'usr', 'bin', CHECKER))) symlinkSync(PROGRAM, join(tree, 'usr', 'bin', CHECKER));
    return await putInPlace(root, tree, env);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

/**
 * First by the machine's own lists, then by fresh ones of ours.
 * @param {string} apt @param {string} debs @param {Env} env @param {(line: string) => void} say
 */
async function fetchDebs(apt, debs, env, say) {
  const known = await download(aptSettings(apt, { ownLists: false }), debs, env);
  if (known.ok) return known;
  say("fetching Debian's lists of packages into .toolchain (the machine's own are empty or out of date)");
  const settings = aptSettings(apt, { ownLists: true });
  const updated = await quietly('apt-get', [...settings, '-q', 'update'], {
    env,
    patience: "fetching Debian's lists of packages",
  });
  return updated.ok ? download(settings, debs, env) : updated;
}

/** @param {string[]} settings @param {string} debs @param {Env} env */
async function download(settings, debs, env) {
  const flags = ['-q', '--simulate', '--no-install-recommends', 'install', PACKAGE];
  const simulated = await quietly('apt-get', [...settings, ...flags], { env: { ...env, LC_ALL: 'C' } });
  if (!simulated.ok) return simulated;
  const names = packagesToFetch(simulated.output);
  // An installed package is not listed although its file is wanted: the machine has the program, and linking it did not work.
  if (!names.includes(PACKAGE)) names.push(PACKAGE);
  return quietly('apt-get', [...settings, '-q', 'download', ...names], { env, cwd: debs, patience: 'fetching Redis' });
}

/** @param {string} root @param {string} tree @param {Env} env @returns {ReturnType<typeof unpackDebianRedis>} */
async function putInPlace(root, tree, env) {
  const home = join(root, '.toolchain', 'redis');
  const program = unpackedRedis(root);
  rmSync(home, { recursive: true, force: true });
  renameSync(tree, home);
  mkdirSync(join(root, '.toolchain', 'bin'), { recursive: true });
  // It may be a link to a program of the machine, which must not be written through.
  for (const name of [program, join(dirname(program), CHECKER)]) {
    rmSync(name, { force: true });
    writeFileSync(name, launcher);
    chmodSync(name, 0o755);
  }
  const { ok, output } = await quietly(program, ['--version'], { env });
  if (ok && /server v=/.test(output)) return { kind: 'ready', program };
  rmSync(program);
  rmSync(home, { recursive: true });
  return { kind: 'failed', output };
}
