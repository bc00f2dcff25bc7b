/** install.sh, function by function and as it comes out of a pipe, in every shell that calls itself sh; see deploy/agent/install.bats. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isHere, SHELLS } from '../lint/shell.ts';

const root = join(import.meta.dirname, '../..');
// Bats itself is written in bash; what it tests runs in the shell of each round.
const isBatsHere = isHere(['bash']);
const missing = SHELLS.filter((shell) => !isHere(shell)).map(([program]) => program);
if (!isBatsHere) console.warn('install.sh: skipped, because bats needs bash');
else if (missing.length > 0) console.warn(`install.sh: not run with what is not here: ${missing.join(', ')}`);

describe.each(SHELLS.map((shell) => [shell.join(' '), shell] as const))('under %s', (name, shell) => {
  it.skipIf(!isHere(shell) || !isBatsHere)(
    'install.sh does as it should',
    () => {
      const { status, stdout, stderr } = spawnSync(join(root, 'node_modules/.bin/bats'), ['--tap', 'deploy/agent/install.bats'], {
        cwd: root,
        encoding: 'utf8',
        env: { ...process.env, TEST_SHELL: name },
        timeout: 110_000,
      });
      const failed = stdout.split(/^(?=(?:not )?ok )/m).filter((part) => part.startsWith('not ok'));
      expect(failed).toEqual([]);
      expect([stdout.match(/^ok /gm)?.length, stderr]).toEqual([Number(/^1\.\.(\d+)$/m.exec(stdout)?.[1]), '']);
      expect(status).toBe(0);
    },
    120_000,
  );
});
