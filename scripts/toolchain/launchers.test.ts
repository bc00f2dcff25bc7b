import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { areLinked, binFolder, link, linkState, unlink, writeLaunchers } from './launchers.mjs';
import { Stop } from './say.mjs';

let root: string;
let env: Record<string, string>;
beforeEach(() => {
  // A name that a shell would take apart.
  root = join(mkdtempSync(join(tmpdir(), 'lai-launch-')), "it's $HOME here");
  mkdirSync(join(root, 'coordinator', 'dist'), { recursive: true });
  writeFileSync(
    join(root, 'coordinator', 'dist', 'lai.js'),
    'console.log(JSON.stringify([process.argv.slice(2), process.env.LAI_DEFAULT_DATA_DIR]))',
  );
  env = { HOME: join(root, 'home'), PATH: `${join(process.execPath, '..')}:/usr/bin:/bin` };
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(join(root, '..'), { recursive: true, force: true });
});

describe('the launchers', () => {
  it('carry their Node and the directory of their clone, whatever PATH has', () => {
    link(root, env);
    const run = (more: Record<string, string> = {}) =>
      JSON.parse(
        execFileSync(join(binFolder(env), 'lai'), ['status', 'a b'], { env: { PATH: '/nowhere', ...more }, encoding: 'utf8' }),
      );
    expect(run()).toEqual([['status', 'a b'], join(root, '.lai')]);
    expect(run({ LAI_DEFAULT_DATA_DIR: '/x' })).toEqual([['status', 'a b'], '/x']);
  });

  it('are linked and taken away again', () => {
    expect(areLinked(root, env)).toBe(false);
    link(root, env);
    link(root, env);
    expect(areLinked(root, env)).toBe(true);
    unlink(root, env);
    expect(linkState(join(binFolder(env), 'lai'), 'anything')).toBe('none');
  });

  it('never replace or remove what is not theirs', () => {
    mkdirSync(binFolder(env), { recursive: true });
    writeFileSync(join(binFolder(env), 'lai'), 'mine');
    symlinkSync('/elsewhere/lai-agent', join(binFolder(env), 'lai-agent'));
    expect(() => link(root, env)).toThrow(Stop);
    unlink(root, env);
    expect(readFileSync(join(binFolder(env), 'lai'), 'utf8')).toBe('mine');
    expect(linkState(join(binFolder(env), 'lai-agent'), '/elsewhere/lai-agent')).toBe('ours');
  });

  it('are written anew when the Node they name is another', () => {
    writeLaunchers(root, env);
    const before = readFileSync(join(root, '.toolchain', 'bin', 'lai'), 'utf8');
    const other = join(root, 'other');
    mkdirSync(other);
    symlinkSync(process.execPath, join(other, 'node'));
    writeLaunchers(root, { ...env, PATH: other });
    expect(readFileSync(join(root, '.toolchain', 'bin', 'lai'), 'utf8')).not.toBe(before);
  });
});
