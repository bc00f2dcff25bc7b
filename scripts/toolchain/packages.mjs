/** The workspace's packages: installed when the lock file changed, built when a source changed. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { quietly } from './children.mjs';
import { downloadAdvice } from './network.mjs';
import { Stop, say } from './say.mjs';

/** @typedef {import('./path.mjs').Env} Env */

/** Lies inside `node_modules`, so deleting that folder forgets the installation too. @param {string} root */
const stampFile = (root) => join(root, 'node_modules', '.lai-installed');

/** Names what an installation depends on; two equal fingerprints need no second installation. @param {string} root */
export function fingerprint(root) {
  const hash = createHash('sha256');
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml']) hash.update(readFileSync(join(root, file)));
  return `${hash.digest('hex')} ${process.platform} ${process.arch}\n`;
}

/** @param {string} root */
export function arePackagesInstalled(root) {
  return existsSync(stampFile(root)) && readFileSync(stampFile(root), 'utf8') === fingerprint(root);
}

/**
 * @param {string} root
 * @param {Env} env
 */
export async function installPackages(root, env) {
  if (arePackagesInstalled(root)) return;
  say('installing packages (seconds when pnpm knows them, otherwise up to a minute)');
  // Under NODE_ENV=production pnpm would leave out the tools that build Lai.
  const flags = ['install', '--frozen-lockfile', '--prod=false', '--config.confirmModulesPurge=false', '--reporter=append-only'];
  const patience = 'installing packages';
  const { ok, output } = await quietly('pnpm', flags, { env: { ...env, NODE_ENV: undefined }, cwd: root, patience });
  if (!ok) {
    const { why, next } = downloadAdvice(output);
    throw new Stop('pnpm could not install the packages', why, next);
  }
  writeFileSync(stampFile(root), fingerprint(root));
}

/** A build that is not cached takes long enough to be worth a word. */
const buildIsSlowMs = 600;

/**
 * @param {string} root
 * @param {Env} env
 */
export async function buildPackages(root, env) {
  const slow = setTimeout(() => say('building'), buildIsSlowMs);
  const turbo = join(root, 'node_modules', '.bin', 'turbo');
  const { ok, output } = await quietly(turbo, ['run', 'build', '--output-logs=errors-only'], {
    env,
    cwd: root,
    patience: 'building',
  });
  clearTimeout(slow);
  if (!ok)
    throw new Stop(
      'the build failed',
      lastLines(output),
      'mend what is named above, then give the same command again (deleting node_modules starts afresh)',
    );
}

/** @param {string} output */
function lastLines(output) {
  return output.split('\n').slice(-20).join('\n') || 'it printed nothing';
}
