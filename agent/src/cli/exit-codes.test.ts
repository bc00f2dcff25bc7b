import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { expect, it, onTestFinished } from 'vitest';

const MAIN = path.join(import.meta.dirname, '..', 'main.ts');

it.concurrent.each<[string[], number, RegExp]>([
  [['--version'], 0, /^\d+\.\d+\.\d+$/],
  [['--help'], 0, /doctor/],
  [['status'], 1, /No agent is running.*lai-agent run/],
  [['run'], 1, /has not joined/],
  [['nonsense'], 2, /unknown command/],
  [['status', '--nonsense'], 2, /unknown option/],
  [['gaming', 'maybe'], 2, /on, off, auto or status/],
  [['gaming', 'on', '--for', 'ages'], 2, /90s, 30m, 2h or 1d/],
  [['logs', '../../etc/passwd'], 2, /logs \[engine\]/],
])('lai-agent %j ends with %i', { timeout: 60_000 }, async (args, code, words) => {
  const dataDir = mkdtempSync(path.join(tmpdir(), 'lai-cli-'));
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
  const result = await execa(process.execPath, [MAIN, ...args], {
    reject: false,
    all: true,
    env: { LAI_AGENT_DATA_DIR: dataDir, NO_COLOR: '1' },
  });
  expect(result.all).toMatch(words);
  expect(result.exitCode).toBe(code);
});
