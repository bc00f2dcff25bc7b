/** The workspace's packages: installed when the lock file changed, built when a source changed. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { quietly } from './children.mjs';
import { downloadAdvice } from './network.mjs';
import { Stop, say } from './say.mjs';

/** @typedef {import('./path.mjs').Env} Env */

/** `running`: what builds and runs Lai. `all`: the tools that check and test it as well, six times as much. @typedef {'running' | 'all'} Extent */

/** Lies inside `node_modules`, so deleting that folder forgets the installation too. @param {string} root */
const stampFile = (root) => join(root, 'node_modules', '.lai-installed');

/** Names what an installation depends on; two equal fingerprints need no second installation. @param {string} root */
export function fingerprint(root) {
  const hash = createHash('sha256');
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml']) hash.update(readFileSync(join(root, file)));
  return `${hash.digest('hex')} ${process.platform} ${process.arch}`;
}

/** @param {string} root @param {Extent} extent */
export const installationStamp = (root, extent) => `${fingerprint(root)} ${extent}\n`;

/** @param {string} root @param {Extent} extent */
export function arePackagesInstalled(root, extent) {
  const stamp = existsSync(stampFile(root)) ? readFileSync(stampFile(root), 'utf8') : '';
  return stamp === installationStamp(root, 'all') || stamp === installationStamp(root, extent);
}

/**
 * @param {string} root
 * @param {Env} env
 * @param {Extent} extent
 */
export async function installPackages(root, env, extent) {
  if (arePackagesInstalled(root, extent)) return;
  say('installing packages (seconds when pnpm knows them, otherwise up to a minute)');
  const flags = ['install', '--frozen-lockfile', '--config.confirmModulesPurge=false', '--reporter=append-only'];
  // Under NODE_ENV=production pnpm would leave out the tools for tests by itself.
  const which = extent === 'all' ? '--prod=false' : '--prod';
  const patience = 'installing packages';
  const { ok, output } = await quietly('pnpm', [...flags, which], { env: { ...env, NODE_ENV: undefined }, cwd: root, patience });
  if (!ok) {
    const { why, next } = downloadAdvice(output);
    throw new Stop('pnpm could not install the packages', why, next);
  }
  writeFileSync(stampFile(root), installationStamp(root, extent));
}

/** Packages of the workspace that have something to build, in the order in which the workspace names them. @param {string} root */
function packagesToBuild(root) {
  const workspace = readFileSync(join(root, 'pnpm-workspace.yaml'), 'utf8');
  const names = [...(/^packages:\n((?: {2}- .*\n)+)/m.exec(workspace)?.[1] ?? '').matchAll(/- (\S+)/g)].map(
    ([, name = '']) => name,
  );
  return names.filter((name) => {
    const manifest = JSON.parse(readFileSync(join(root, name, 'package.json'), 'utf8'));
    return manifest.scripts?.build !== undefined;
  });
}

/** What the bundles are made of: every file of the packages and the installers that they carry. @param {string} root @param {readonly string[]} names */
export function sourcesFingerprint(root, names) {
  const hash = createHash('sha256');
  const folders = [...new Set(['shared', ...names])].flatMap((name) => [join(name, 'src'), join(name, 'dashboard')]);
  const single = ['pnpm-lock.yaml', 'scripts/build.ts', ...names.map((name) => join(name, 'package.json'))];
  const sources = [...folders, join('deploy', 'agent')].flatMap((folder) =>
    existsSync(join(root, folder))
      ? readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile() && !entry.name.includes('.test.'))
          .map((entry) => join(entry.parentPath ?? Reflect.get(entry, 'path'), entry.name).slice(root.length))
      : [],
  );
  for (const file of [...single, ...sources.sort()]) hash.update(`${file}\0`).update(readFileSync(join(root, file)));
  return `${hash.digest('hex')}\n`;
}

/** Lies with the bundles, so deleting them forgets that they were made. @param {string} root @param {string} name */
const builtFile = (root, name) => join(root, name, 'dist', '.lai-built');

/**
 * Without Turborepo, which is four fifths of what a start would need for it.
 * @param {string} root
 * @param {Env} env
 */
export async function buildPackages(root, env) {
  const names = packagesToBuild(root);
  const stamp = sourcesFingerprint(root, names);
  const isBuilt = (/** @type {string} */ name) =>
    existsSync(builtFile(root, name)) && readFileSync(builtFile(root, name), 'utf8') === stamp;
  const stale = names.filter((name) => !isBuilt(name));
  if (stale.length === 0) return;
  say('building');
  for (const name of stale) {
    const cwd = join(root, name);
    const { ok, output } = await quietly('pnpm', ['run', 'build'], { env, cwd, patience: `building ${name}` });
    if (!ok)
      throw new Stop(
        `the build of ${name} failed`,
        lastLines(output),
        'mend what is named above, then give the same command again (deleting node_modules starts afresh)',
      );
    writeFileSync(builtFile(root, name), stamp);
  }
}

/** @param {string} output */
function lastLines(output) {
  return output.split('\n').slice(-20).join('\n') || 'it printed nothing';
}
