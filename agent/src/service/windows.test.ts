import { describe, expect, it } from 'vitest';
import { installationOf } from './installation.ts';
import { layoutOf } from './layout.ts';
import { recording } from './recorded-commands.ts';
import type { Installation, ServiceManager } from './service.ts';
import { windows } from './windows.ts';
import { quoted } from './windows-command.ts';
import { recoveryIn } from './windows-registry.ts';
import { serviceSid } from './windows-sid.ts';
import { stateIn } from './windows-state.ts';

const place = { platform: 'win32', scope: 'system', home: 'C:\\Users\\ada', environment: {} } as const;
const installation: Installation = installationOf('win32', layoutOf(place));

const values = {
  sid: serviceSid('LAIAgent'),
  look:
    "$ErrorActionPreference = 'SilentlyContinue'; $paths = @('C:\\Program Files\\LAI', 'C:\\ProgramData\\LAI'); " +
    "$paths += @(Get-ChildItem -LiteralPath 'C:\\ProgramData\\LAI' -Recurse -Force | ForEach-Object { $_.FullName }); " +
    'foreach ($path in $paths) { "$path|$((Get-Acl -LiteralPath $path).Sddl)" }; exit 0',
  register:
    `$ErrorActionPreference = 'Stop'; $xml = (Get-Content -Raw -LiteralPath 'C:\\Program Files\\LAI\\lai-desktop.xml')` +
    `.Replace('@PROGRAM_DIR@', 'C:\\Program Files\\LAI'); Register-ScheduledTask -TaskName LAIAgentDesktop -Xml $xml -Force | Out-Null`,
};

/** One act with exactly the commands of a transcript: none is left out, none comes on top. */
const act = async <T>(name: string, doIt: (manager: ServiceManager) => Promise<T>, limitMs = 60_000): Promise<T> => {
  const commands = recording('windows', name, values);
  const made: string[] = [];
  const manager = windows(installation, commands.run, {
    patience: { limitMs, everyMs: 1 },
    makeDir: (path) => void made.push(path),
  });
  try {
    return await doIt(manager);
  } finally {
    expect(commands.left()).toEqual([]);
    expect(made).toEqual(made.length === 0 ? [] : ['C:\\ProgramData\\LAI\\state\\desktop', 'C:\\ProgramData\\LAI\\logs']);
  }
};

describe('install', () => {
  it.each([
    ['install', 'created'],
    ['install-again', 'unchanged'],
    ['install-changed', 'changed'],
    ['install-after-join', 'changed'],
    ['install-other-task', 'changed'],
  ])('%s is %s', async (name, outcome) => {
    expect(await act(name, (manager) => manager.install())).toBe(outcome);
  });

  it.each([
    ['install-no-rights', 'Run as administrator'],
    ['install-marked', 'marked for deletion'],
    ['install-no-access', 'Access is denied'],
    ['install-open', 'agent.env is open to WD'],
    ['install-no-task', 'Register-ScheduledTask'],
  ])('%s fails in words', async (name, words) => {
    await expect(act(name, (manager) => manager.install())).rejects.toThrow(words);
  });

  it('is for the machine, and keeps no password', () => {
    const run = () => Promise.reject(new Error('nothing is run'));
    expect(() => windows({ ...installation, scope: 'user' }, run)).toThrow('without --user');
    expect(() => windows({ ...installation, account: '.\\ada' }, run)).toThrow('not as .\\ada');
    expect(() => windows({ ...installation, account: 'LocalSystem' }, run)).not.toThrow();
  });
});

describe('start', () => {
  it.each(['start', 'start-running', 'start-raced'])('%s', async (name) => {
    await act(name, (manager) => manager.start());
  });

  it.each([
    ['absent', 'lai-agent service install'],
    ['start-logon', 'does not let NT SERVICE\\LAIAgent log on'],
    ['start-no-shawl', 'cannot find the file'],
  ])('%s fails in words', async (name, words) => {
    await expect(act(name, (manager) => manager.start())).rejects.toThrow(words);
  });
});

describe('stop', () => {
  it.each(['stop', 'stop-stopped', 'stop-raced', 'absent'])('returns when it has stopped: %s', async (name) => {
    await act(name, (manager) => manager.stop());
  });

  it('does not wait for ever', async () => {
    await expect(act('stop-hangs', (manager) => manager.stop(), 0)).rejects.toThrow('has not stopped within');
  });

  it('comes before start when it is restarted', async () => {
    await act('restart', (manager) => manager.restart());
  });
});

describe('status', () => {
  it.each([
    ['status-running', { kind: 'running', isEnabled: true, pid: 4711 }],
    ['status-spanish', { kind: 'running', isEnabled: true, pid: 4711 }],
    ['status-failed', { kind: 'failed', isEnabled: true, pid: null }],
    ['status-other-version', { kind: 'stopped', isEnabled: true, pid: null }],
    ['status-disabled', { kind: 'stopped', isEnabled: false, pid: null }],
    ['absent', { kind: 'absent' }],
  ])('%s', async (name, status) => {
    expect(await act(name, (manager) => manager.status())).toMatchObject(status);
  });

  it('says the exit code of the agent, not the wrapper’s', () => {
    expect(stateIn('STATE : 1  STOPPED\nWIN32_EXIT_CODE : 1066  (0x42a)\nSERVICE_EXIT_CODE : 7  (0x7)')).toEqual({
      state: 'STOPPED',
      pid: null,
      hasFailed: true,
      detail: 'STOPPED, last exit 7',
    });
  });
});

describe('uninstall', () => {
  it.each(['uninstall', 'uninstall-absent', 'uninstall-marked'])('takes service and task away: %s', async (name) => {
    await act(name, (manager) => manager.uninstall());
  });

  it('fails in words', async () => {
    await expect(act('uninstall-no-rights', (manager) => manager.uninstall())).rejects.toThrow('Run as administrator');
  });
});

describe('what Windows keeps', () => {
  it.each([
    [
      'two restarts',
      '805101000000000000000000020000001400000001000000881300000100000060EA0000',
      { resetS: 86_400, restartsAfterMs: [5_000, 60_000] },
    ],
    ['none', '8051010000000000000000000000000014000000', { resetS: 86_400, restartsAfterMs: [] }],
    ['a reboot', '805101000000000000000000010000001400000002000000881300 00'.replace(' ', ''), null],
    ['half of it', '80510100000000000000000002000000140000000100000088130000', null],
    ['nothing', '', null],
  ])('as recovery: %s', (_, hex, recovery) => {
    expect(recoveryIn(hex)).toEqual(recovery);
  });
});

it.each([
  ['plain', 'plain'],
  ['two words', '"two words"'],
  ['C:\\ends in \\', '"C:\\ends in \\\\"'],
  ['say "hi"', '"say \\"hi\\""'],
  ['', '""'],
])('%j is quoted as Windows reads it', (word, line) => {
  expect(quoted(word)).toBe(line);
});
