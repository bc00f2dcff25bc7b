/** A Node that can run Lai: the one that runs us if it is new enough, else a pinned one in `.toolchain`. */
import { realpathSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { quietly } from './children.mjs';
import { fetchedPackage, fetchPackage } from './npm-package.mjs';
import { onPath, putFirst } from './path.mjs';
import { nodePins, oldestNodeMajor } from './pins.mjs';
import { Stop, say } from './say.mjs';

/** @param {string} version such as 24.21.0 */
export function isNodeNewEnough(version) {
  return Number.parseInt(version, 10) >= oldestNodeMajor;
}

/** What to type where npm carries no Node for the machine. @param {string} platform */
export function nodeAdvice(platform) {
  if (platform === 'darwin')
    return 'brew install node@24 && export PATH="$(brew --prefix node@24)/bin:$PATH", then the same command again';
  return `install Node ${oldestNodeMajor} or newer from https://nodejs.org, then give the same command again`;
}

/**
 * @param {string} root
 * @param {import('./path.mjs').Env} env
 */
export async function ensureNode(root, env) {
  if (isNodeNewEnough(process.versions.node)) {
    const found = onPath('node', env);
    if (found === undefined || realpathSync(found) !== realpathSync(process.execPath)) putFirst(dirname(process.execPath), env);
    return;
  }
  const pin = nodePins[`${process.platform}-${process.arch}`];
  const why = `Lai needs Node ${oldestNodeMajor}, this is ${process.versions.node} on ${process.platform} ${process.arch}, which npm has no Node for`;
  if (pin === undefined) throw new Stop('there is no Node to run Lai with', why, nodeAdvice(process.platform));
  const fetched = fetchedPackage(root, pin);
  if (fetched !== undefined) {
    putFirst(join(fetched, 'bin'), env);
    return;
  }
  say(`fetching Node ${pin.version} into .toolchain (Lai needs ${oldestNodeMajor}, this is ${process.versions.node})`);
  const dir = await fetchPackage(root, pin, env, async (fresh) => {
    const { ok, output } = await quietly(join(fresh, 'bin', 'node'), ['--version'], { env });
    // Headers for native add-ons are a third of the package, and nothing of ours compiles any.
    for (const name of ['include', 'share']) rmSync(join(fresh, name), { recursive: true, force: true });
    return ok && output === `v${pin.version}` ? undefined : output || 'it does not start';
  });
  putFirst(join(dir, 'bin'), env);
}
