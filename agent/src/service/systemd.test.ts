import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { installationOf } from './installation.ts';
import { layoutOf } from './layout.ts';
import type { Installation, Ran, RunCommand } from './service.ts';
import { systemd } from './systemd.ts';
import { unitText } from './systemd-unit.ts';

const linux = (scope: 'system' | 'user') =>
  installationOf('linux', layoutOf({ platform: 'linux', scope, home: '/home/ada', environment: {} }));

describe('the unit', () => {
  it('is the one that is shown to people and checked with systemd-analyze', () => {
    const shown = readFileSync(join(import.meta.dirname, '../../../deploy/agent/linux/lai-agent.service'), 'utf8');
    expect(unitText(linux('system'))).toBe(shown);
  });

  it('leaves devices alone: a GPU that is not seen is no GPU', () => {
    const keys = unitText(linux('system')).match(/^\w+(?==)/gm);
    for (const key of ['PrivateDevices', 'ProtectClock', 'DeviceAllow', 'DevicePolicy', 'MemoryDenyWriteExecute'])
      expect(keys).not.toContain(key);
  });

  it('knows nothing that an older systemd would warn of', () => {
    expect(unitText(linux('system'))).not.toMatch(/^Restart(Steps|MaxDelaySec)=/m);
  });

  it('escapes what systemd would read otherwise', () => {
    const odd: Installation = { ...linux('system'), command: ['/opt/my programs/100%/lai-agent', 'a"b', '$HOME'] };
    expect(unitText(odd)).toContain(String.raw`ExecStart="/opt/my programs/100%%/lai-agent" "a\"b" $$HOME`);
  });

  it('of a session has no account and no walls', () => {
    const text = unitText(linux('user'));
    expect(text).not.toMatch(/^(User|Group|ProtectSystem|StateDirectory)=/m);
    expect(text).toContain('WantedBy=default.target');
    expect(text).toContain('ExecStart=/home/ada/.local/share/lai/program/lai-agent run');
  });
});

describe('systemd', () => {
  let dir: string;
  let said: string[];
  let answers: Record<string, Partial<Ran>>;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'lai-systemd-'));
    said = [];
    answers = { 'is-enabled': { code: 1, stdout: 'disabled' } };
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  const manager = (scope: 'system' | 'user' = 'system', isBooted = true) => {
    const place = {
      registrationPath: join(dir, 'units', 'lai-agent.service'),
      dataDir: join(dir, 'state'),
      command: [join(dir, 'lai', 'lai-agent'), 'run'] as const,
    };
    const run: RunCommand = async (program, args) => {
      said.push([program, ...args].join(' '));
      const word = args.find((arg) => !arg.startsWith('-')) ?? '';
      return { code: 0, stdout: '', stderr: '', ...(answers[[program, ...args].join(' ')] ?? answers[word]) };
    };
    return systemd({ ...linux(scope), ...place }, run, () => isBooted);
  };
  /** What `systemctl` was told, without its questions. */
  const told = () => said.filter((line) => /^systemctl(?! (?:--user )?(?:is-enabled|show))/.test(line));
  const me = {
    [`id -u lai-agent`]: { stdout: `${process.getuid?.()}` },
    [`id -g lai-agent`]: { stdout: `${process.getgid?.()}` },
  };

  it('is told of a new unit, and enables it', async () => {
    answers = { ...answers, ...me };
    expect(await manager().install()).toBe('created');
    expect(told()).toEqual(['systemctl daemon-reload', 'systemctl enable lai-agent.service']);
    expect(readFileSync(join(dir, 'units', 'lai-agent.service'), 'utf8')).toContain(
      `ExecStart=${join(dir, 'lai', 'lai-agent')} run`,
    );
    expect(existsSync(join(dir, 'state'))).toBe(true);
  });

  it('makes an account without a login, in the groups for GPUs that the machine has', async () => {
    answers = { ...answers, ...me, 'getent passwd lai-agent': { code: 2 }, 'getent group render': { code: 2 } };
    await manager().install();
    expect(said.filter((line) => /^user/.test(line))).toEqual([
      `useradd --system --user-group --home-dir ${join(dir, 'state')} --no-create-home --shell /usr/sbin/nologin lai-agent`,
      'usermod --append --groups video lai-agent',
    ]);
  });

  it('is not told the same twice', async () => {
    answers = { ...answers, ...me, 'id -nG lai-agent': { stdout: 'lai-agent render video\n' } };
    await manager().install();
    said = [];
    answers['is-enabled'] = { code: 0, stdout: 'enabled' };
    expect(await manager().install()).toBe('unchanged');
    expect(told()).toEqual([]);
    expect(said.filter((line) => /^user/.test(line))).toEqual([]);
  });

  it('enables again what was disabled by hand', async () => {
    answers = { ...answers, ...me };
    await manager().install();
    said = [];
    expect(await manager().install()).toBe('changed');
    expect(said.at(-1)).toBe('systemctl enable lai-agent.service');
  });

  it('lays its files where systemd does not run, and starts nothing', async () => {
    answers = { ...answers, ...me };
    expect(await manager('system', false).install()).toBe('created');
    expect(told()).toEqual(['systemctl enable lai-agent.service']);
    await expect(manager('system', false).start()).rejects.toThrow('systemd does not run this machine. By hand:');
    expect(await manager('system', false).status()).toMatchObject({
      kind: 'stopped',
      detail: 'systemd does not run this machine',
    });
    await manager('system', false).uninstall();
    expect(told().at(-1)).toBe('systemctl disable lai-agent.service');
    expect(await manager('system', false).status()).toEqual({ kind: 'absent' });
  });

  it.each<[string, object]>([
    [
      'ActiveState=active\nSubState=running\nMainPID=42\nUnitFileState=enabled\nResult=success',
      { kind: 'running', pid: 42, isEnabled: true, detail: 'active (running)' },
    ],
    [
      'ActiveState=inactive\nSubState=dead\nMainPID=0\nUnitFileState=disabled\nResult=success',
      { kind: 'stopped', pid: null, isEnabled: false },
    ],
    [
      'ActiveState=failed\nSubState=failed\nMainPID=0\nUnitFileState=enabled\nResult=exit-code',
      { kind: 'failed', detail: 'failed (failed), exit-code' },
    ],
    [
      'ActiveState=activating\nSubState=auto-restart\nMainPID=0\nUnitFileState=enabled\nResult=exit-code',
      { kind: 'running', pid: null },
    ],
  ])('says %j', async (shown, expected) => {
    await manager('user').install();
    answers['show'] = { stdout: shown };
    expect(await manager('user').status()).toMatchObject(expected);
  });

  it('has nothing to say of a unit that is not there, and nothing to stop or take away', async () => {
    expect(await manager().status()).toEqual({ kind: 'absent' });
    await manager().stop();
    await manager().uninstall();
    expect(said).toEqual([]);
  });

  it('lets go of everything', async () => {
    await manager('user').install();
    said = [];
    await manager('user').uninstall();
    expect(said).toEqual([
      'systemctl --user stop lai-agent.service',
      'systemctl --user disable lai-agent.service',
      'systemctl --user daemon-reload',
      'systemctl --user reset-failed lai-agent.service',
    ]);
    expect(await manager('user').status()).toEqual({ kind: 'absent' });
  });

  it('fails in its own words', async () => {
    await manager('user').install();
    answers['start'] = { code: 5, stderr: 'Unit lai-agent.service not found.' };
    await expect(manager('user').start()).rejects.toThrow(
      'systemctl --user start lai-agent.service ended with 5: Unit lai-agent.service not found.',
    );
  });
});
