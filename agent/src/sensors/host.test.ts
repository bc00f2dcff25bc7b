import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { readDiskFree, readHostInventory, readMemory, words } from './host.ts';
import { within } from './within.ts';

describe('this machine', () => {
  it('knows what it is', async () => {
    const host = await readHostInventory();
    expect(host).toMatchObject({ platform: process.platform, arch: process.arch });
    expect(host.release).not.toBe('');
    expect(host.cpuThreads).toBeGreaterThan(0);
    expect(host.memoryTotalBytes).toBe(readMemory().totalBytes);
  });

  it('has no more free memory than memory', () => {
    const { totalBytes, freeBytes } = readMemory();
    expect(freeBytes).toBeGreaterThan(0);
    expect(freeBytes).toBeLessThanOrEqual(totalBytes);
  });

  it('knows the free disk of a folder that does not exist yet', async () => {
    const here = await readDiskFree(tmpdir());
    const there = await readDiskFree(path.join(tmpdir(), 'not', 'made', 'yet'));
    expect(here).toBeGreaterThan(0);
    expect(Math.abs((there ?? 0) - (here ?? 0))).toBeLessThan(2 ** 30);
  });

  it.each([
    [['ASUS', 'System Product Name'], 'ASUS'],
    [['To Be Filled By O.E.M.', ''], null],
    [[undefined, ' Apple M1 '], 'Apple M1'],
  ])('reads %j as %j', (parts, name) => {
    expect(words(...parts)).toBe(name);
  });
});

describe('an answer within a deadline', () => {
  it('is null when it comes too late or fails', async () => {
    expect(await within(5, new Promise(() => {}))).toBeNull();
    expect(await within(1_000, Promise.reject(new Error('no')))).toBeNull();
    expect(await within(1_000, Promise.resolve('yes'))).toBe('yes');
  });
});
