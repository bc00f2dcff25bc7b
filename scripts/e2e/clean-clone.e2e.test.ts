/** A clone in which nothing was prepared, with Node and npm on PATH and none of our tools. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { onPath } from '../engines/cache.ts';
import { cleanClone } from './clean-clone.ts';

const ROOT = join(import.meta.dirname, '../..');
const scripts = Object.keys((JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: object }).scripts);
const SYSTEM_PATH = '/usr/local/bin:/usr/bin:/bin';

/** The oldest Node that is here with an npm: the machine's own where it has one, else the one that runs us. */
const node = onPath('npm', SYSTEM_PATH) ? onPath('node', SYSTEM_PATH) : process.execPath;

describe('npm run, in a clean clone', { timeout: 240_000 }, () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'lai-clean-clone-'));
    cleanClone(join(dir, 'clone'));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  const npm = (...args: string[]) => {
    // npm picks its Node by PATH; a HOME of its own would fetch every package anew.
    const env = { PATH: `${dirname(node ?? process.execPath)}:${SYSTEM_PATH}`, HOME: process.env['HOME'] ?? dir, NO_COLOR: '1' };
    const { status, stdout, stderr } = spawnSync('npm', args, {
      cwd: join(dir, 'clone'),
      env,
      encoding: 'utf8',
      timeout: 200_000,
    });
    return { status, text: stdout + stderr };
  };

  it('says where it is while it prepares, and makes a key of releases with nothing before it', () => {
    const { status, text } = npm('run', 'release:key', '--', join(dir, 'release.key'));
    expect(status, text).toBe(0);
    expect(text).toMatch(/^lai: installing packages/m);
    expect(statSync(join(dir, 'release.key')).mode & 0o777).toBe(0o600);
    expect(existsSync(join(dir, 'clone', 'coordinator', 'dist'))).toBe(false);
  });

  it.each(scripts)('%s --help tells what it takes', (script) => {
    const { status, text } = npm('run', script, '--', '--help');
    expect(status, text).toBe(0);
    expect(text).toMatch(/usage|options/i);
  });

  it('says in one sentence what is wrong with an unknown command', () => {
    const { status, text } = npm('test', '--', '--with', 'nonsense');
    expect(status).toBe(2);
    expect(text).toContain('usage: npm start');
    expect(text).not.toMatch(/^\s+at /m);
  });
});
