import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Layout, layoutOf } from './layout.ts';
import { pathsToRemove, uninstall } from './uninstall.ts';

describe('taking the agent away', () => {
  let dir: string;
  let layout: Layout;
  let said: string[];
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'lai-uninstall-'));
    // As for the whole machine, in a folder of our own.
    const real = layoutOf({ platform: 'linux', scope: 'system', home: dir, environment: {} });
    layout = {
      ...real,
      programDir: join(dir, 'opt/lai'),
      commandPath: join(dir, 'bin/lai-agent'),
      configDir: join(dir, 'etc/lai'),
      settingsPath: join(dir, 'etc/lai/agent.env'),
      dataDir: join(dir, 'state/lai'),
      registrationPath: join(dir, 'units/lai-agent.service'),
    };
    said = [];
    for (const path of [layout.settingsPath, join(layout.dataDir, 'node.json'), join(layout.programDir, 'lai-agent')]) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, '');
    }
    mkdirSync(dirname(layout.commandPath));
    symlinkSync(join(layout.programDir, 'lai-agent'), layout.commandPath);
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  const leave = (isPurge: boolean) =>
    uninstall({
      layout,
      manager: null,
      isPurge,
      run: async (program, args) => {
        said.push([program, ...args].join(' '));
        return { code: program === 'getent' && args[0] === 'group' ? 2 : 0, stdout: '', stderr: '' };
      },
    });

  it('leaves settings, identity and account, so that it can come back', async () => {
    await leave(false);
    expect([layout.programDir, layout.commandPath].map((path) => existsSync(path))).toEqual([false, false]);
    expect([layout.settingsPath, layout.dataDir].map((path) => existsSync(path))).toEqual([true, true]);
    expect(said).toEqual([]);
  });

  it('leaves nothing when purged, nor a second time', async () => {
    await leave(true);
    for (const path of [layout.programDir, layout.configDir, layout.dataDir]) expect(existsSync(path)).toBe(false);
    expect(said).toEqual(['getent passwd lai-agent', 'userdel lai-agent', 'getent group lai-agent']);
    await leave(true);
  });

  it('does not touch the settings of a coordinator on the same machine', async () => {
    writeFileSync(join(layout.configDir, 'coordinator.env'), 'LAI_PORT=1');
    await leave(true);
    expect(existsSync(layout.settingsPath)).toBe(false);
    expect(existsSync(join(layout.configDir, 'coordinator.env'))).toBe(true);
  });

  it('does not touch a command of the same name that is not ours', () => {
    rmSync(layout.commandPath);
    writeFileSync(layout.commandPath, 'somebody’s');
    expect(pathsToRemove(layout, true)).not.toContain(layout.commandPath);
  });
});
