import { existsSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { currentVersion, installedVersions, keepOnly, nodePath, programAt, runtimeOf, switchTo, versionDir } from './versions.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lai-versions-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe.each(['linux', 'darwin', 'win32'] as const)('versions side by side on %s', (platform) => {
  const program = () => programAt(dir, platform);
  const add = (version: string, runtime: string) => {
    mkdirSync(versionDir(program(), version), { recursive: true });
    writeFileSync(join(versionDir(program(), version), 'lai-agent.js'), '');
    writeFileSync(join(versionDir(program(), version), 'runtime'), `${runtime}\n`);
    mkdirSync(dirname(nodePath(program(), runtime)), { recursive: true });
    writeFileSync(nodePath(program(), runtime), '');
  };

  it('are switched between, and one is current', () => {
    expect(currentVersion(program())).toBeNull();
    add('0.1.0', '24.21.0');
    add('0.2.0', '24.21.0');
    switchTo(program(), '0.1.0');
    expect(currentVersion(program())).toBe('0.1.0');
    switchTo(program(), '0.2.0');
    expect(currentVersion(program())).toBe('0.2.0');
    expect(installedVersions(program()).sort()).toEqual(['0.1.0', '0.2.0']);
    expect(runtimeOf(program(), '0.2.0')).toBe('24.21.0');
    expect(readdirSync(dir).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it.each(['0.3.0', '../elsewhere', '', 'current'])('are not switched to %j, which is not there', (version) => {
    add('0.1.0', '24.21.0');
    switchTo(program(), '0.1.0');
    expect(() => switchTo(program(), version)).toThrow('There is no version');
    expect(currentVersion(program())).toBe('0.1.0');
  });

  it('go when they are not to be kept, with the Node that nobody wants any more', () => {
    add('0.1.0', '24.20.0');
    add('0.2.0', '24.21.0');
    add('0.3.0', '24.21.0');
    mkdirSync(join(dir, 'versions', 'not-ours'));
    keepOnly(program(), ['0.2.0', '0.3.0']);
    expect(installedVersions(program()).sort()).toEqual(['0.2.0', '0.3.0']);
    expect(existsSync(nodePath(program(), '24.20.0'))).toBe(false);
    expect(existsSync(nodePath(program(), '24.21.0'))).toBe(true);
    expect(existsSync(join(dir, 'versions', 'not-ours'))).toBe(true);
  });

  it('keep every Node while one of them does not say which it wants', () => {
    add('0.1.0', '24.20.0');
    add('0.2.0', '24.21.0');
    rmSync(join(versionDir(program(), '0.2.0'), 'runtime'));
    keepOnly(program(), ['0.2.0']);
    expect(existsSync(nodePath(program(), '24.20.0'))).toBe(true);
  });
});

describe('the link to the current version', () => {
  it('is relative, so that the folder can be looked at from elsewhere', () => {
    const program = programAt(dir, 'linux');
    mkdirSync(versionDir(program, '0.1.0'), { recursive: true });
    writeFileSync(join(versionDir(program, '0.1.0'), 'lai-agent.js'), '');
    switchTo(program, '0.1.0');
    expect(readlinkSync(join(dir, 'current'))).toBe(join('versions', '0.1.0'));
  });

  it('counts for nothing when it points at something that is no version', () => {
    symlinkSync('/etc/passwd', join(dir, 'current'));
    expect(currentVersion(programAt(dir, 'linux'))).toBeNull();
  });
});
