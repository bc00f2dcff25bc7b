import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { closedDataDir } from './data-dir.ts';

const MAIN = join(import.meta.dirname, 'main.ts');
let folder: string;
let said: string[];
const log = { warn: (_facts: unknown, text: string) => void said.push(text) } as unknown as Parameters<typeof closedDataDir>[1];
const modeOf = (path: string) => (statSync(path).mode & 0o7777).toString(8);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lai-data-dir-'));
  said = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

describe.skipIf(process.platform === 'win32')('lai serve with an open umask and directory', () => {
  it('keeps what it writes for its user alone', () => {
    const directory = join(folder, 'data');
    mkdirSync(directory);
    chmodSync(directory, 0o755);
    // It ends when it looks for a Redis, which is after the database was made.
    const ended = spawnSync(
      '/bin/sh',
      ['-c', 'umask 0; exec "$0" "$@"', process.execPath, MAIN, 'serve', '--data-dir', directory],
      {
        env: { PATH: folder, HOME: folder, LAI_PORT: '0' },
        encoding: 'utf8',
        timeout: 30_000,
      },
    );
    expect(ended.stderr).toContain('redis-server');
    expect(ended.stdout).toContain('was open to other users and is closed now');
    expect(modeOf(directory)).toBe('700');
    const files = readdirSync(directory, { recursive: true, encoding: 'utf8' });
    expect(files).toContain('lai.sqlite');
    expect(files.filter((file) => (statSync(join(directory, file)).mode & 0o077) !== 0)).toEqual([]);
  }, 60_000);
});

describe.skipIf(process.platform === 'win32')('closedDataDir', () => {
  it('makes a directory for its user alone and says nothing', () => {
    closedDataDir(join(folder, 'a', 'b'), log);
    expect(modeOf(join(folder, 'a', 'b'))).toBe('700');
    expect(said).toEqual([]);
  });

  it.each([0o755, 0o750, 0o777, 0o701, 0o2770])('closes one of mode %o and says so', (mode) => {
    const directory = join(folder, 'open');
    mkdirSync(directory);
    chmodSync(directory, mode);
    closedDataDir(directory, log);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(said).toEqual(['the data directory was open to other users and is closed now']);
  });

  it('leaves a directory that everybody shares and says so', () => {
    const directory = join(folder, 'shared');
    mkdirSync(directory);
    chmodSync(directory, 0o1777);
    closedDataDir(directory, log);
    expect(modeOf(directory)).toBe('1777');
    expect(said[0]).toContain('give Lai one of its own');
  });
});
