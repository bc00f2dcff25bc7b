/**
 * A real mlx_lm.server for tests: Python's own packages in a folder of the cache, at the versions below. MLX runs on Linux without a GPU.
 *
 *   node scripts/engines/mlx.ts      prints its path, or why there is none
 */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { argv, exit, pid, platform } from 'node:process';
import { pathToFileURL } from 'node:url';
import { engineCacheDir, type Found, onPath } from './cache.ts';
import { run } from './command.ts';

const PACKAGES = ['mlx[cpu]==0.32.4', 'mlx-lm==0.32.2'];
const VERSION = '0.32.2';
const INSTALL_LIMIT_MS = 5 * 60_000;

/** Never throws: without Python, a package index or a system that these packages are built for, there is none. */
export const ensureMlx = async (cacheDir = engineCacheDir()): Promise<Found> => {
  const folder = join(cacheDir, `mlx-lm-${VERSION}`);
  const program = join(folder, 'bin', 'mlx_lm.server');
  if (existsSync(join(folder, 'ready'))) return { path: program, version: VERSION };
  if (platform !== 'linux' && platform !== 'darwin') return { missing: 'mlx_lm.server runs on Linux and macOS.' };
  const python = onPath('python3');
  if (python === undefined) return { missing: 'There is no python3 on PATH. Install Python 3.10 or later.' };
  // Scripts of a virtual environment have its path in them, so it is made where it stays; `ready` is its last file.
  const lock = `${folder}.${pid}.lock`;
  try {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(cacheDir, { recursive: true });
    for (const [command, args] of [
      [python, ['-m', 'venv', folder]],
      [join(folder, 'bin', 'pip'), ['install', '--quiet', '--disable-pip-version-check', '--no-input', ...PACKAGES]],
      [join(folder, 'bin', 'python'), ['-c', 'import mlx.core, mlx_lm.server']],
      [join(folder, 'bin', 'python'), ['-c', `open(${JSON.stringify(lock)}, "w").close()`]],
    ] as const) {
      const { ok, lastLine } = await run(command, args, { limitMs: INSTALL_LIMIT_MS });
      if (!ok) return { missing: `mlx_lm.server could not be installed with ${python}: ${lastLine}` };
    }
    renameSync(lock, join(folder, 'ready'));
    return { path: program, version: VERSION };
  } catch (error) {
    return { missing: `mlx_lm.server could not be installed: ${error instanceof Error ? error.message : String(error)}` };
  }
};

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) {
  const found = await ensureMlx();
  console.log('path' in found ? found.path : found.missing);
  exit('path' in found ? 0 : 1);
}
