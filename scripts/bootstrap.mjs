/**
 * From a bare clone to a running Lai: `npm start` and `npm test` need git, any Node 20 or newer and npm, nothing else.
 *
 *   node scripts/bootstrap.mjs start [args]        starts Lai (`lai up`)
 *   node scripts/bootstrap.mjs lai [args]          a command of this clone; so is `lai-agent`
 *   node scripts/bootstrap.mjs link | unlink       the commands in ~/.local/bin, and away again
 *   node scripts/bootstrap.mjs test [--with X]     every test suite (and suite X), then `N passed, N failed`
 *   node scripts/bootstrap.mjs check               style (with imports), types and unit tests
 *   node scripts/bootstrap.mjs run <file> [args]   a script of ours; everything is built and there is a Redis
 *   node scripts/bootstrap.mjs exec <cmd> [args]   any command with our tools first on PATH, as `run`
 *   node scripts/bootstrap.mjs tool <cmd> [args]   the same where nothing needs to be built, and no Redis is needed
 *
 * Plain JavaScript without dependencies, and so is everything in `toolchain/`: it runs before there is a Node that understands
 * TypeScript and before any package is installed.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { argv, env, exit } from 'node:process';
import { fileURLToPath } from 'node:url';
import { foreground } from './toolchain/children.mjs';
import { link, offerLinks, programs, unlink, writeLaunchers } from './toolchain/launchers.mjs';
import { ensureNode } from './toolchain/node.mjs';
import { buildPackages, installPackages } from './toolchain/packages.mjs';
import { ensurePnpm } from './toolchain/pnpm.mjs';
import { ensureRedis } from './toolchain/redis.mjs';
import { Stop, stopLines } from './toolchain/say.mjs';
import { closingLine, runSuites, suitesFor } from './toolchain/suites.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const usage = `usage: npm start [-- options of lai up]
       npm test [-- --with engines|browser|clients]
       npm run check
       node scripts/bootstrap.mjs run <file> [args] | exec <command> [args] | tool <command> [args]`;

/**
 * Every step is instant and silent when it is already done; each adds what children need to `env`.
 * @param {{ extent?: import('./toolchain/packages.mjs').Extent, isBuilt?: boolean, withRedis?: boolean }} needs
 */
async function prepare({ extent = 'all', isBuilt = true, withRedis = true } = {}) {
  /** @type {import('./toolchain/path.mjs').Env} */
  const prepared = { ...env, TURBO_TELEMETRY_DISABLED: '1', TURBO_NO_UPDATE_NOTIFIER: '1', DO_NOT_TRACK: '1' };
  await ensureNode(root, prepared);
  await ensurePnpm(root, prepared);
  await installPackages(root, prepared, extent);
  if (isBuilt) await buildPackages(root, prepared);
  if (withRedis) await ensureRedis(root, prepared);
  return prepared;
}

/** @param {string[]} args */
async function start(args) {
  // A Redis of the operator's own (LAI_REDIS_URL) makes ours unnecessary; tests always start their own.
  const prepared = await prepare({ extent: 'running', withRedis: (env['LAI_REDIS_URL'] ?? '') === '' });
  const lai = join(root, 'coordinator', 'dist', 'lai.js');
  if (!existsSync(lai)) {
    const next = 'git status shows whether coordinator/src/main.ts is missing';
    throw new Stop('Lai is not built', `${lai} does not exist after the build`, next);
  }
  writeLaunchers(root, prepared);
  if (!args.includes('--help')) await offerLinks(root, prepared);
  // Everything that `npm start` makes is in the clone, and goes with it.
  prepared['LAI_DEFAULT_DATA_DIR'] ||= join(root, '.lai');
  // A small young generation halves the memory of a coordinator with hundreds of streams, at the same CPU (measured: 269 → 181 MB).
  return foreground('node', ['--max-semi-space-size=4', lai, 'up', ...args], { env: prepared, alone: true });
}

/**
 * `npm run lai -- status`: a command of the clone, prepared when it has to be, without Redis.
 * @param {'lai' | 'lai-agent'} name
 * @param {string[]} args
 */
async function command(name, args) {
  const prepared = await prepare({ extent: 'running', withRedis: false });
  writeLaunchers(root, prepared);
  prepared['LAI_DEFAULT_DATA_DIR'] ||= join(root, '.lai');
  return foreground('node', [join(root, programs[name]), ...args], { env: prepared, alone: false });
}

/** @param {'link' | 'unlink'} which @param {string[]} args */
async function links(which, [first]) {
  if (first !== undefined) {
    console.log('usage: npm run link | npm run unlink: the commands lai and lai-agent in ~/.local/bin, and away again');
    return first === '--help' ? 0 : 2;
  }
  if (which === 'unlink') unlink(root, env);
  else link(root, await prepare({ extent: 'running', withRedis: false }));
  return 0;
}

/** What a person runs before a commit. Stops at the first that fails. */
async function check() {
  const prepared = await prepare({ isBuilt: false, withRedis: false });
  for (const script of ['check:style', 'check:types', 'unit']) {
    const code = await foreground('pnpm', ['run', script], { env: prepared, alone: false });
    if (code !== 0) return code;
  }
  return 0;
}

/** @param {string[]} args */
async function test(args) {
  const suites = suitesFor(args);
  if (suites === undefined) {
    console.error(usage);
    return 2;
  }
  try {
    const results = await runSuites(suites, root, await prepare());
    console.log(closingLine(results));
    return results.some((result) => result.failed > 0) ? 1 : 0;
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    for (const line of stopLines(error)) console.error(line);
    console.log(closingLine([{ name: 'prepare', passed: 0, failed: 1, skipped: 0 }]));
    return 1;
  }
}

/** @param {string[]} words */
async function main([task, ...args]) {
  const [first, ...rest] = args;
  if (task === 'start') return start(args);
  if (task === 'lai' || task === 'lai-agent') return command(task, args);
  if (task === 'link' || task === 'unlink') return links(task, args);
  if ((task === 'test' || task === 'check') && first === '--help') {
    console.log(usage);
    return 0;
  }
  if (task === 'test') return test(args);
  if (task === 'check' && first === undefined) return check();
  // Usage needs no Redis, and nothing to be built.
  const isHelp = rest.includes('--help');
  if (task === 'run' && first !== undefined)
    return foreground('node', args, { env: await prepare({ isBuilt: !isHelp, withRedis: !isHelp }), alone: false });
  if (task === 'exec' && first !== undefined) return foreground(first, rest, { env: await prepare(), alone: false });
  if (task === 'tool' && first !== undefined)
    return foreground(first, rest, { env: await prepare({ isBuilt: false, withRedis: false }), alone: false });
  console.error(usage);
  return 2;
}

main(argv.slice(2)).then(
  (code) => exit(code),
  (error) => {
    const lines = error instanceof Stop ? stopLines(error) : [String(error?.stack ?? error)];
    for (const line of lines) console.error(line);
    exit(1);
  },
);
