/**
 * From a bare clone to a running Lai: `npm start` and `npm test` need git, any Node 20 or newer and npm, nothing else.
 *
 *   node scripts/bootstrap.mjs start [args]        starts Lai (`lai up`)
 *   node scripts/bootstrap.mjs test [--with X]     every test suite (and suite X), then `N passed, N failed`
 *   node scripts/bootstrap.mjs check               style, types, imports and unit tests
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
import { ensureNode } from './toolchain/node.mjs';
import { buildPackages, installPackages } from './toolchain/packages.mjs';
import { ensurePnpm } from './toolchain/pnpm.mjs';
import { ensureRedis } from './toolchain/redis.mjs';
import { Stop, stopLines } from './toolchain/say.mjs';
import { closingLine, runSuites, suitesFor } from './toolchain/suites.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const usage = `usage: npm start [-- options of lai up]
       npm test [-- --with engines|clients]
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
  // Everything that `npm start` makes is in the clone, and goes with it.
  prepared['LAI_DATA_DIR'] ||= join(root, '.lai');
  // A small young generation halves the memory of a coordinator with hundreds of streams, at the same CPU (measured: 269 → 181 MB).
  return foreground('node', ['--max-semi-space-size=4', lai, 'up', ...args], { env: prepared, alone: true });
}

/** What a person runs before a commit. Stops at the first that fails. */
async function check() {
  const prepared = await prepare({ isBuilt: false, withRedis: false });
  for (const script of ['check:style', 'check:types', 'check:imports', 'unit']) {
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
async function main([command, ...args]) {
  const [first, ...rest] = args;
  if (command === 'start') return start(args);
  if ((command === 'test' || command === 'check') && first === '--help') {
    console.log(usage);
    return 0;
  }
  if (command === 'test') return test(args);
  if (command === 'check' && first === undefined) return check();
  // Usage needs no Redis, and nothing to be built.
  const isHelp = rest.includes('--help');
  if (command === 'run' && first !== undefined)
    return foreground('node', args, { env: await prepare({ isBuilt: !isHelp, withRedis: !isHelp }), alone: false });
  if (command === 'exec' && first !== undefined) return foreground(first, rest, { env: await prepare(), alone: false });
  if (command === 'tool' && first !== undefined)
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
