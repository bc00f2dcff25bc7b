/** What bats tells of install.sh: its functions one by one, and the whole of it in every shell that calls itself sh. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isHere, SHELLS } from '../lint/shell.ts';

const LIMIT_MS = 110_000;
const root = join(import.meta.dirname, '../..');
// Bats itself is written in bash; what it tests runs in the shell of each round.
const isBatsHere = isHere(['bash']);
const missing = SHELLS.filter((shell) => !isHere(shell)).map(([program]) => program);
if (!isBatsHere) console.warn('install.sh: skipped, because bats needs bash');
else if (missing.length > 0) console.warn(`install.sh: not run with what is not here: ${missing.join(', ')}`);

const bats = (file: string, shell: string): void => {
  const { status, stdout, stderr } = spawnSync(join(root, 'node_modules/.bin/bats'), ['--tap', `deploy/agent/${file}`], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, TEST_SHELL: shell },
    timeout: LIMIT_MS,
  });
  const failed = stdout.split(/^(?=(?:not )?ok )/m).filter((part) => part.startsWith('not ok'));
  expect(failed).toEqual([]);
  expect([stdout.match(/^ok /gm)?.length, stderr]).toEqual([Number(/^1\.\.(\d+)$/m.exec(stdout)?.[1]), '']);
  expect(status).toBe(0);
};

describe.skipIf(!isBatsHere)('install.sh', () => {
  it('is made of functions that do what they say', () => bats('install.bats', 'bash'), LIMIT_MS + 10_000);

  it.each(SHELLS.filter(isHere).map((shell) => shell.join(' ')))(
    'does as it should when it is pasted into %s',
    (shell) => bats('pasted.bats', shell),
    LIMIT_MS + 10_000,
  );
});
