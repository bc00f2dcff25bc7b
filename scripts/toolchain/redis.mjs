/**
 * Redis (or Valkey, its free twin): found on this machine; else unpacked into `.toolchain` on Debian and Ubuntu; else installed by the
 * machine's own package manager.
 */
import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { quietly } from './children.mjs';
import { canUnpackDebian, unpackDebianRedis, unpackedRedis } from './debian-redis.mjs';
import { downloadAdvice } from './network.mjs';
import { isExecutable, onPath } from './path.mjs';
import { Stop, say } from './say.mjs';

/** @typedef {import('./path.mjs').Env} Env */

const programs = ['redis-server', 'valkey-server'];
/** Where package managers put it although a user's PATH may lack the folder. */
const usualDirs = ['/usr/bin', '/usr/sbin', '/usr/local/bin', '/opt/homebrew/bin'];

/**
 * Debian and its children ship one program under three names; `redis-tools` has it without the name `redis-server`, and without
 * the service on port 6379 that the package `redis-server` would start and enable on the machine.
 */
const debianProgram = '/usr/bin/redis-check-rdb';

/**
 * `flags` keep the manager from asking; `packages` are tried in turn until one can be installed. Fedora and Arch have replaced
 * redis by valkey, older releases have redis only. None of them starts a service by itself.
 * @typedef {{ tool: string, needsRoot: boolean, verb: string, flags: string[], packages: string[] }} Installer
 * @type {Installer[]}
 */
const installers = [
  { tool: 'dnf', needsRoot: true, verb: 'install', flags: ['-y', '-q'], packages: ['valkey', 'redis'] },
  { tool: 'pacman', needsRoot: true, verb: '-S', flags: ['--noconfirm', '--needed'], packages: ['valkey', 'redis'] },
  { tool: 'apk', needsRoot: true, verb: 'add', flags: ['--no-cache'], packages: ['redis', 'valkey'] },
  { tool: 'brew', needsRoot: false, verb: 'install', flags: [], packages: ['redis'] },
];

/** @param {Installer} installer */
const typed = ({ tool, needsRoot, verb, packages }) => `${needsRoot ? 'sudo ' : ''}${tool} ${verb} ${packages[0]}`;

/**
 * The way to install Redis here, or what a person has to type because it needs rights that we do not have.
 * @param {{ has: (tool: string) => boolean, isRoot: boolean, sudoWorks: boolean, platform?: NodeJS.Platform }} machine
 * @returns {{ kind: 'install', installer: Installer, prefix: string[] } | { kind: 'advice', why: string, type: string }}
 */
export function redisPlan({ has, isRoot, sudoWorks, platform = process.platform }) {
  const installer = installers.find(({ tool }) => has(tool));
  if (installer === undefined && platform === 'darwin') {
    return {
      kind: 'advice',
      why: 'neither redis-server nor valkey-server is on PATH, and this Mac has no Homebrew to install one with',
      type: 'install Homebrew (https://brew.sh), then give the same command again; or, with MacPorts: sudo port install redis',
    };
  }
  if (installer === undefined) {
    const tools = installers.map(({ tool }) => tool).join(', ');
    return {
      kind: 'advice',
      why: `neither redis-server nor valkey-server is on PATH, and this machine has none of ${tools}`,
      type: 'install Redis or Valkey (https://redis.io, https://valkey.io), or set LAI_REDIS_SERVER=/path/to/redis-server',
    };
  }
  if (!installer.needsRoot || isRoot) return { kind: 'install', installer, prefix: [] };
  if (sudoWorks) return { kind: 'install', installer, prefix: ['sudo', '-n'] };
  return {
    kind: 'advice',
    why: `it is not installed, and ${installer.tool} needs root (sudo asks for a password or is missing)`,
    type: `${typed(installer)}, then give the same command again`,
  };
}

/**
 * @param {string} root
 * @param {Env} env
 * @returns {string | undefined}
 */
export function findRedis(root, env) {
  const onUsualPath = { PATH: [env['PATH'] ?? '', ...usualDirs].join(':') };
  const found = programs.map((program) => onPath(program, onUsualPath)).find((path) => path !== undefined);
  if (found !== undefined) return found;
  return isExecutable(unpackedRedis(root)) ? unpackedRedis(root) : undefined;
}

/**
 * Gives Debian's program the name under which it is a Redis.
 * @param {string} root
 * @param {Env} env
 * @returns {Promise<string | undefined>}
 */
async function linkDebianProgram(root, env) {
  if (!isExecutable(debianProgram)) return undefined;
  const link = unpackedRedis(root);
  mkdirSync(join(root, '.toolchain', 'bin'), { recursive: true });
  rmSync(link, { force: true });
  symlinkSync(debianProgram, link);
  const { ok, output } = await quietly(link, ['--version'], { env });
  if (ok && /server v=/.test(output)) return link;
  rmSync(link);
  return undefined;
}

/**
 * @param {Installer} installer
 * @param {string[]} prefix
 * @param {Env} env
 * @returns {Promise<string>} what the last try printed
 */
async function runInstaller({ tool, verb, flags, packages }, prefix, env) {
  const [command = '', ...first] = [...prefix, tool];
  let output = '';
  for (const name of packages) {
    const result = await quietly(command, [...first, verb, ...flags, name], { env, patience: `installing ${name}` });
    output = result.output;
    if (result.ok) break;
  }
  return output;
}

/**
 * @param {string} root
 * @param {Env} env
 * @returns {Promise<string>}
 */
async function unpackRedis(root, env) {
  say('fetching Redis into .toolchain with apt-get download; nothing is installed on this machine');
  const unpacked = await unpackDebianRedis(root, env, say);
  if (unpacked.kind === 'ready') return unpacked.program;
  const { why, next } = downloadAdvice(unpacked.output);
  throw new Stop('Redis could not be fetched with apt-get', why, `${next}; or install it: sudo apt-get install redis-tools`);
}

/**
 * @param {string} root
 * @param {Env} env
 * @returns {Promise<string>}
 */
async function installRedis(root, env) {
  if (canUnpackDebian(env)) return unpackRedis(root, env);
  const isRoot = process.getuid?.() === 0;
  const sudoWorks = !isRoot && onPath('sudo', env) !== undefined && (await quietly('sudo', ['-n', 'true'], { env })).ok;
  const plan = redisPlan({ has: (tool) => onPath(tool, env) !== undefined, isRoot, sudoWorks });
  if (plan.kind === 'advice') throw new Stop('Redis is missing', plan.why, plan.type);
  const { installer, prefix } = plan;
  say(`installing Redis with ${[...prefix, installer.tool].join(' ')}; Lai runs it privately, no service is started`);
  const output = await runInstaller(installer, prefix, env);
  const found = findRedis(root, env);
  if (found !== undefined) return found;
  const why = output.split('\n').slice(-5).join('\n') || 'it printed nothing';
  throw new Stop(`${installer.tool} could not install Redis`, why, typed(installer));
}

/**
 * @param {string} root
 * @param {Env} env gets LAI_REDIS_SERVER, which names the program for everything that starts a Redis
 */
export async function ensureRedis(root, env) {
  const named = env['LAI_REDIS_SERVER'] ?? '';
  if (named !== '' && !isExecutable(named)) {
    const why = `LAI_REDIS_SERVER is ${named}, which is not a program`;
    throw new Stop('Redis cannot be started', why, 'correct or unset LAI_REDIS_SERVER');
  }
  const chosen = named || findRedis(root, env) || (await linkDebianProgram(root, env));
  env['LAI_REDIS_SERVER'] = chosen || (await installRedis(root, env));
}
