/**
 * Gets the real engines before their tests run (`npm run engines`), so that a build of minutes happens outside any test's
 * deadline, and says loudly which ones this machine goes without. Never fails: the tests of a missing engine are skipped. Then runs
 * the command that its arguments are.
 */
import { spawnSync } from 'node:child_process';
import { argv, exit, stdout } from 'node:process';
import { engineCacheDir, type Found } from './cache.ts';
import { ensureLlamaServer } from './llama-server.ts';
import { ensureMlx } from './mlx.ts';
import { ensureOllama } from './ollama.ts';

function report(name: string, found: Found): void {
  const line = 'path' in found ? `${found.version} at ${found.path}` : `MISSING, its tests are skipped: ${found.missing}`;
  stdout.write(`engines: ${name} ${line}\n`);
}

const [command, ...args] = argv.slice(2);
if (!args.includes('--help')) {
  report('llama-server', await ensureLlamaServer());
  report('mlx_lm.server', await ensureMlx());
  report(
    'ollama',
    await ensureOllama(engineCacheDir(), () =>
      stdout.write('engines: building ollama (about five minutes, kept for next time)\n'),
    ),
  );
}
if (command !== undefined) exit(spawnSync(command, args, { stdio: 'inherit' }).status ?? 1);
