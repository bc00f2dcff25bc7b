import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../engines/command.ts';
import { installed, LINTER } from './packages.ts';

const LIMIT_MS = 60_000;

/** What Redocly says of a running coordinator's OpenAPI document; empty when it has nothing to say. */
export const lintDocument = async (url: string): Promise<string[]> => {
  const folder = mkdtempSync(join(tmpdir(), 'lai-openapi-'));
  try {
    const file = join(folder, 'openapi.json');
    writeFileSync(file, await (await fetch(`${url}/openapi.json`)).text());
    const program = join(await installed(LINTER), 'node_modules', '.bin', 'redocly');
    // The few routes that anybody may ask for anything have no error of their own.
    const rules = ['--extends=recommended', '--skip-rule=operation-4xx-response', '--format=stylish'];
    const { ok, stdout, stderr } = await run('node', [program, 'lint', ...rules, file], {
      limitMs: LIMIT_MS,
      env: { REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' },
    });
    return ok ? [] : [`/openapi.json: ${stdout || stderr}`];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};
