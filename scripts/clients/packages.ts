import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { engineCacheDir } from '../engines/cache.ts';
import { run } from '../engines/command.ts';

/** Exact versions, each at least seven days old when it was taken in. */
export const LIBRARIES = {
  openai: '7.57.0',
  ai: '7.0.173',
  '@ai-sdk/openai-compatible': '3.0.92',
  '@ai-sdk/openai': '4.0.118',
  '@langchain/core': '1.4.0',
  '@langchain/openai': '1.6.0',
  '@langchain/ollama': '1.3.0',
  ollama: '0.6.4',
  '@anthropic-ai/sdk': '1.8.0',
  zod: '4.6.7',
} as const;

/** What checks bodies against OpenAI's own schemas. */
export const VALIDATORS = { ajv: '8.20.0', 'ajv-formats': '3.0.1', yaml: '2.9.1' } as const;

/** What reads our OpenAPI document as others will. */
export const LINTER = { '@redocly/cli': '2.77.0' } as const;

export const COMMANDS = {
  opencode: { 'opencode-ai': '1.18.33' },
  codex: { '@openai/codex': '0.169.0' },
  'claude-code': { '@anthropic-ai/claude-code': '2.1.325' },
  cline: { cline: '3.0.65' },
  continue: { '@continuedev/cli': '1.5.47' },
  'qwen-code': { '@qwen-code/qwen-code': '0.24.4' },
} as const;

/** From PyPI, for the Python that is here. */
export const PYTHON_COMMANDS = { aider: { 'aider-chat': '0.86.2' } } as const;

const INSTALL_LIMIT_MS = 10 * 60_000;

/**
 * A folder with these packages, installed the first time and kept. Nothing of theirs runs at install time; programs for this platform
 * come as packages of their own. Rejects with npm's words when it cannot be done.
 */
export const installed = async (packages: Readonly<Record<string, string>>): Promise<string> => {
  const spec = Object.entries(packages).map(([name, version]) => `${name}@${version}`);
  const folder = join(engineCacheDir(), 'clients', createHash('sha256').update(spec.join(' ')).digest('hex').slice(0, 12));
  if (existsSync(folder)) return folder;
  const half = `${folder}.${process.pid}`;
  mkdirSync(half, { recursive: true });
  writeFileSync(join(half, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--save-exact', ...spec];
  const outcome = await run('npm', args, { cwd: half, limitMs: INSTALL_LIMIT_MS });
  if (!outcome.ok) {
    rmSync(half, { recursive: true, force: true });
    throw new Error(`npm could not install ${spec.join(' ')}: ${outcome.lastLine}`);
  }
  renameSync(half, folder);
  return folder;
};

/** The same for programs in Python: a virtual environment, from wheels alone, so that nothing of theirs runs at install time either. */
export const installedFromPyPI = async (packages: Readonly<Record<string, string>>): Promise<string> => {
  const spec = Object.entries(packages).map(([name, version]) => `${name}==${version}`);
  const folder = join(engineCacheDir(), 'clients', `python-${spec.join('+')}`);
  if (existsSync(join(folder, 'whole'))) return folder;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const pip = ['-m', 'pip', 'install', '--quiet', '--only-binary', ':all:', '--disable-pip-version-check', ...spec];
  // The paths of a virtual environment are written into it, so it is made where it stays.
  const steps = [
    ['python3', ['-m', 'venv', folder]],
    [join(folder, 'bin', 'python3'), pip],
  ] as const;
  for (const [command, args] of steps) {
    const outcome = await run(command, args, { cwd: folder, limitMs: INSTALL_LIMIT_MS });
    if (outcome.ok) continue;
    rmSync(folder, { recursive: true, force: true });
    throw new Error(`PyPI's ${spec.join(' ')} could not be installed: ${outcome.lastLine}`);
  }
  writeFileSync(join(folder, 'whole'), '');
  return folder;
};
