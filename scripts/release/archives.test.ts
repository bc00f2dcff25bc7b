import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { strFromU8, unzipSync } from 'fflate';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pack } from './archives.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lai-archives-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** The same tree, made in another order, at another time, with another umask. */
const tree = (name: string, { order, isStrict }: { order: readonly string[]; isStrict: boolean }): string => {
  const root = join(dir, name);
  mkdirSync(join(root, 'bin'), { recursive: true });
  for (const path of order) {
    writeFileSync(join(root, path), `this is ${path}`);
    chmodSync(join(root, path), path.startsWith('bin') ? (isStrict ? 0o700 : 0o775) : isStrict ? 0o600 : 0o664);
    utimesSync(join(root, path), isStrict ? 1_000 : 2_000_000_000, 1_000);
  }
  return root;
};
const first = () => tree('first', { order: ['a.txt', 'bin/node', 'b.txt'], isStrict: true });
const second = () => tree('second', { order: ['b.txt', 'bin/node', 'a.txt'], isStrict: false });

describe.each(['tree.tar.gz', 'tree.zip'])('%s', (name) => {
  it('has the same bytes whenever, in whatever order and by whomever its files were written', async () => {
    await pack(first(), join(dir, `1-${name}`));
    await pack(second(), join(dir, `2-${name}`));
    expect(readFileSync(join(dir, `1-${name}`)).equals(readFileSync(join(dir, `2-${name}`)))).toBe(true);
  });

  it('has other bytes when a file has', async () => {
    const root = first();
    await pack(root, join(dir, `1-${name}`), { isQuick: true });
    writeFileSync(join(root, 'a.txt'), 'this is A.txt');
    await pack(root, join(dir, `2-${name}`), { isQuick: true });
    expect(readFileSync(join(dir, `1-${name}`)).equals(readFileSync(join(dir, `2-${name}`)))).toBe(false);
  });
});

it('what is in a tar is there again, and may be run by those who may', async () => {
  await pack(first(), join(dir, 'tree.tar.gz'));
  mkdirSync(join(dir, 'out'));
  execFileSync('tar', ['-xzpf', join(dir, 'tree.tar.gz'), '-C', join(dir, 'out')]);
  expect(readFileSync(join(dir, 'out/bin/node'), 'utf8')).toBe('this is bin/node');
  expect(statSync(join(dir, 'out/bin/node')).mode & 0o777).toBe(0o755);
  expect(statSync(join(dir, 'out/a.txt')).mode & 0o777).toBe(0o644);
});

it('what is in a zip is there again, with slashes in its names', async () => {
  await pack(first(), join(dir, 'tree.zip'));
  const files = unzipSync(readFileSync(join(dir, 'tree.zip')));
  expect(Object.keys(files)).toEqual(['a.txt', 'b.txt', 'bin/node']);
  expect(strFromU8(files['bin/node'] ?? new Uint8Array())).toBe('this is bin/node');
});

it('a folder that is not there is no empty archive', async () => {
  for (const name of ['tree.tar.gz', 'tree.zip']) await expect(pack(join(dir, 'nowhere'), join(dir, name))).rejects.toThrow();
});
