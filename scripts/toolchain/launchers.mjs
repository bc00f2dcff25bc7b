/**
 * `lai` and `lai-agent` as programs of their own: scripts in `.toolchain/bin` that carry their Node and know their clone, and links to
 * them where the user's other programs are. Links are made when the user said yes, and taken away again by `npm run unlink`.
 */
import { lstatSync, mkdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { onPath } from './path.mjs';
import { Stop, say } from './say.mjs';

/** @typedef {import('./path.mjs').Env} Env */

/** Where each program's bundle is in the clone. */
export const programs = { lai: 'coordinator/dist/lai.js', 'lai-agent': 'agent/dist/lai-agent.js' };

/** @param {string} text */
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/**
 * @param {string} root
 * @param {string} node
 * @param {string} bundle
 */
export const launcherText = (root, node, bundle) => `#!/bin/sh
# Made by npm start in ${root.replaceAll('\n', ' ')}, with the Node of that clone.
[ -n "$LAI_DEFAULT_DATA_DIR" ] || LAI_DEFAULT_DATA_DIR=${quoted(join(root, '.lai'))}
export LAI_DEFAULT_DATA_DIR
exec ${quoted(node)} ${quoted(join(root, bundle))} "$@"
`;

/** @param {string} root @param {string} name */
const launcherOf = (root, name) => join(root, '.toolchain', 'bin', name);

/** @param {string} file */
const read = (file) => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
};

/**
 * Writes the scripts, silently and only where they are not as they should be.
 * @param {string} root
 * @param {Env} env
 */
export function writeLaunchers(root, env) {
  const node = onPath('node', env) ?? process.execPath;
  mkdirSync(join(root, '.toolchain', 'bin'), { recursive: true });
  for (const [name, bundle] of Object.entries(programs)) {
    const text = launcherText(root, node, bundle);
    if (read(launcherOf(root, name)) === text) continue;
    rmSync(launcherOf(root, name), { force: true });
    writeFileSync(launcherOf(root, name), text, { mode: 0o755 });
  }
}

/** The user's folder for programs. @param {Env} env */
export const binFolder = (env) => env['XDG_BIN_HOME'] || join(env['HOME'] || homedir(), '.local', 'bin');

/**
 * What lies where a link belongs: nothing, our link, or something of the user's, which is never touched.
 * @param {string} link
 * @param {string} target
 * @returns {'none' | 'ours' | 'other'}
 */
export function linkState(link, target) {
  try {
    return lstatSync(link).isSymbolicLink() && readlinkSync(link) === target ? 'ours' : 'other';
  } catch {
    return 'none';
  }
}

/** @param {string} root @param {Env} env */
const links = (root, env) =>
  Object.keys(programs).map((name) => ({ link: join(binFolder(env), name), target: launcherOf(root, name) }));

/** @param {string} root @param {Env} env */
export const areLinked = (root, env) => links(root, env).every(({ link, target }) => linkState(link, target) === 'ours');

/** @param {string} root @param {Env} env */
export function link(root, env) {
  writeLaunchers(root, env);
  const foreign = links(root, env).filter(({ link: file, target }) => linkState(file, target) === 'other');
  if (foreign.length > 0) {
    const names = foreign.map(({ link: file }) => file).join(' and ');
    throw new Stop(
      'the commands cannot be linked',
      `${names} is there already and not of this clone`,
      `move it away, or put ${join(root, '.toolchain', 'bin')} first on PATH`,
    );
  }
  mkdirSync(binFolder(env), { recursive: true });
  for (const { link: file, target } of links(root, env)) if (linkState(file, target) === 'none') symlinkSync(target, file);
  say(`lai and lai-agent are in ${binFolder(env)}; npm run unlink takes them away`);
  if (!(env['PATH'] ?? '').split(delimiter).includes(binFolder(env)))
    say(`that folder is not on PATH yet; type: export PATH="${binFolder(env)}:$PATH"`);
}

/** @param {string} root @param {Env} env */
export function unlink(root, env) {
  const ours = links(root, env).filter(({ link: file, target }) => linkState(file, target) === 'ours');
  for (const { link: file } of ours) rmSync(file);
  say(
    ours.length === 0
      ? `no link of this clone is in ${binFolder(env)}`
      : `taken away: ${ours.map(({ link: file }) => file).join(', ')}`,
  );
}

/** The answer is asked for once per clone. @param {string} root */
const askedFile = (root) => join(root, '.toolchain', '.asked-for-links');

/**
 * At a terminal the user is asked once; elsewhere the way is said.
 * @param {string} root
 * @param {Env} env
 */
export async function offerLinks(root, env) {
  if (areLinked(root, env) || onPath('lai', env) === join(binFolder(env), 'lai')) return;
  if (process.stdin.isTTY !== true || process.stderr.isTTY !== true) {
    say(`npm run lai -- status works here; npm run link puts lai and lai-agent into ${binFolder(env)}`);
    return;
  }
  if (read(askedFile(root)) !== undefined) return;
  const isWanted = await asked(
    `lai: link the commands lai and lai-agent into ${binFolder(env)}? (npm run unlink undoes it) [y/N] `,
  );
  writeFileSync(askedFile(root), isWanted ? 'yes\n' : 'no\n');
  if (isWanted) link(root, env);
  else say('npm run lai -- status works here all the same, and npm run link links them later');
}

/** @param {string} question @returns {Promise<boolean>} */
function asked(question) {
  return new Promise((resolve) => {
    const reader = createInterface({ input: process.stdin, output: process.stderr });
    reader.once('close', () => resolve(false));
    reader.question(question, (answer) => {
      resolve(/^y(es)?$/i.test(answer.trim()));
      reader.close();
    });
  });
}
