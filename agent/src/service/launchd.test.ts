import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { installationOf } from './installation.ts';
import { launchd } from './launchd.ts';
import { plistText } from './launchd-plist.ts';
import { type Layout, layoutOf } from './layout.ts';
import { recording } from './recorded-commands.ts';
import type { Installation, Scope, ServiceManager } from './service.ts';
import { uninstall } from './uninstall.ts';

const mac = (scope: Scope, account: string | null = scope === 'system' ? 'ada' : null): Installation =>
  installationOf('darwin', layoutOf({ platform: 'darwin', scope, home: '/Users/ada', environment: {} }), account);
const ada = { name: 'ada', uid: 501, home: '/Users/ada' };

describe('the property list', () => {
  it.each([
    ['dev.lai.agent.daemon.plist', mac('system'), ada],
    ['dev.lai.agent.session.plist', mac('user'), null],
  ])('is the one that is shown to people: %s', (file, installation, account) => {
    const shown = readFileSync(join(import.meta.dirname, '../../../deploy/agent/macos', file), 'utf8');
    expect(plistText(installation, account)).toBe(shown);
  });

  it('escapes what XML would read otherwise', () => {
    const odd = { ...mac('system'), command: ['/Users/R&D <1>/lai-agent', 'run'] as const };
    expect(plistText(odd, ada)).toContain('<string>/Users/R&amp;D &lt;1&gt;/lai-agent</string>');
  });
});

/** All below a folder of the test. */
const setUp = (scope: Scope = 'system', account = 'ada') => {
  const dir = mkdtempSync(join(tmpdir(), 'lai-launchd-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  mkdirSync(join(dir, 'program'));
  const listPath = join(dir, scope === 'system' ? 'Library/LaunchDaemons' : 'Library/LaunchAgents', 'dev.lai.agent.plist');
  const rotationPath = join(dir, 'etc/newsyslog.d/dev.lai.agent.conf');
  const installation: Installation = {
    ...mac(scope, scope === 'system' ? account : null),
    command: [join(dir, 'program/lai-agent'), 'run'],
    registrationPath: listPath,
    dataDir: join(dir, 'state'),
    logPath: join(dir, 'Library/Logs/LAI/agent.log'),
  };
  const say = { owner: 501, limitMs: 60_000, uid: scope === 'system' ? 0 : 501 };
  /** One act with exactly the commands of a transcript: none is left out, none comes on top. */
  const act = async <T>(name: string, doIt: (manager: ServiceManager) => Promise<T>): Promise<T> => {
    const commands = recording('launchd', name, { dir, uid: '501' });
    const manager = launchd(installation, commands.run, {
      uid: say.uid,
      rotationDir: dirname(rotationPath),
      patience: { limitMs: say.limitMs, everyMs: 1 },
      ownerOf: () => say.owner,
    });
    try {
      return await doIt(manager);
    } finally {
      expect(commands.left()).toEqual([]);
    }
  };
  const write = (text: string) => {
    mkdirSync(dirname(listPath), { recursive: true });
    writeFileSync(listPath, text);
  };
  return { dir, installation, listPath, rotationPath, act, say, write };
};
const files = (dir: string) =>
  readdirSync(dir, { recursive: true, withFileTypes: true }).flatMap((entry) => (entry.isFile() ? [entry.name] : []));

describe('install', () => {
  it('writes the list and the log rotation, makes the folders, and starts nothing', async () => {
    const { act, installation, listPath, rotationPath } = setUp();
    expect(await act('install', (manager) => manager.install())).toBe('created');
    expect(readFileSync(listPath, 'utf8')).toBe(plistText(installation, ada));
    expect(statSync(listPath).mode & 0o777).toBe(0o644);
    expect(statSync(installation.dataDir).mode & 0o777).toBe(0o700);
    expect(readFileSync(rotationPath, 'utf8')).toContain(`${installation.logPath} ada: 600 3 5120 * JN`);
  });

  it('twice changes nothing', async () => {
    const { act, listPath } = setUp();
    await act('install', (manager) => manager.install());
    const before = statSync(listPath);
    expect(await act('install', (manager) => manager.install())).toBe('unchanged');
    expect(statSync(listPath)).toMatchObject({ mtimeMs: before.mtimeMs, ino: before.ino });
  });

  it.each<[string, (paths: { listPath: string; rotationPath: string }) => void]>([
    ['another text', ({ listPath }) => writeFileSync(listPath, 'old')],
    ['a list that others may write', ({ listPath }) => chmodSync(listPath, 0o666)],
    ['no log rotation', ({ rotationPath }) => rmSync(rotationPath)],
  ])('again mends %s', async (_, harm) => {
    const paths = setUp();
    await paths.act('install', (manager) => manager.install());
    harm(paths);
    expect(await paths.act('install', (manager) => manager.install())).toBe('changed');
    expect(await paths.act('install', (manager) => manager.install())).toBe('unchanged');
  });

  it.each(['install-switched-off', 'install-switched-off-before-13'])('switches on what was switched off: %s', async (name) => {
    const { act } = setUp();
    await act('install', (manager) => manager.install());
    expect(await act(name, (manager) => manager.install())).toBe('changed');
  });

  it('gives the account what root wrote', async () => {
    const { act, say } = setUp();
    await act('install', (manager) => manager.install());
    say.owner = 0;
    expect(await act('install-owned-by-root', (manager) => manager.install())).toBe('changed');
  });

  it.each([
    ['install-no-account', 'eve'],
    ['install-root', 'root'],
  ])('refuses an account that it cannot use, and leaves nothing: %s', async (name, account) => {
    const { act, dir } = setUp('system', account);
    await expect(act(name, (manager) => manager.install())).rejects.toThrow('--account');
    expect(files(dir)).toEqual([]);
  });

  it('of the machine wants root, of a session its user', async () => {
    const machine = setUp('system');
    machine.say.uid = 501;
    await expect(machine.act('nothing', (manager) => manager.install())).rejects.toThrow('with sudo');
    const session = setUp('user');
    session.say.uid = 0;
    await expect(session.act('nothing', (manager) => manager.install())).rejects.toThrow('without sudo');
  });

  it('of a session writes its list alone', async () => {
    const { act, dir, installation, listPath } = setUp('user');
    expect(await act('install-session', (manager) => manager.install())).toBe('created');
    expect(readFileSync(listPath, 'utf8')).toBe(plistText(installation, null));
    expect(files(dir)).toEqual(['dev.lai.agent.plist']);
  });
});

describe('start', () => {
  it.each(['start', 'start-running', 'start-waiting'])('%s', async (name) => {
    const { act, write } = setUp();
    write('list');
    await act(name, (manager) => manager.start());
  });

  it('of what is not installed is refused in words', async () => {
    await expect(setUp().act('nothing', (manager) => manager.start())).rejects.toThrow('lai-agent service install');
  });

  it('says what launchctl said', async () => {
    const { act, write } = setUp();
    write('list');
    await expect(act('start-fails', (manager) => manager.start())).rejects.toThrow('ended with 5: Bootstrap failed: 5');
  });

  it('of a session that nobody has opened says so', async () => {
    const { act, write } = setUp('user');
    write('list');
    await expect(act('start-no-session', (manager) => manager.start())).rejects.toThrow('Nobody is logged in at the screen');
  });
});

describe('stop', () => {
  it.each(['stop', 'stop-not-loaded'])('returns when it has stopped: %s', async (name) => {
    await setUp().act(name, (manager) => manager.stop());
  });

  it('says why it could not', async () => {
    await expect(setUp().act('stop-not-permitted', (manager) => manager.stop())).rejects.toThrow('Operation not permitted');
  });

  it('does not wait for ever', async () => {
    const { act, say } = setUp();
    say.limitMs = 0;
    await expect(act('stop-hangs', (manager) => manager.stop())).rejects.toThrow('has not stopped within');
  });

  it('comes before start when it is restarted, so that a changed list counts', async () => {
    const { act, write } = setUp();
    write('list');
    await act('restart', (manager) => manager.restart());
  });
});

describe('status', () => {
  it.each([
    ['status-running', { kind: 'running', isEnabled: true, pid: 4242, detail: 'running' }],
    ['status-failed', { kind: 'failed', isEnabled: false, pid: null, detail: 'spawn scheduled, last exit 78: EX_CONFIG' }],
    ['status-killed', { kind: 'failed', isEnabled: true, pid: null, detail: 'not running, Killed: 9' }],
    [
      'status-other-version',
      { kind: 'stopped', isEnabled: true, pid: null, detail: 'spawn scheduled, last exit 75: EX_TEMPFAIL' },
    ],
    ['status-not-loaded', { kind: 'stopped', isEnabled: true, pid: null, detail: 'not loaded' }],
  ])('%s', async (name, status) => {
    const { act, write } = setUp();
    write('list');
    expect(await act(name, (manager) => manager.status())).toEqual(status);
  });

  it('of what was never installed', async () => {
    expect(await setUp().act('status-absent', (manager) => manager.status())).toEqual({ kind: 'absent' });
  });
});

describe('uninstall', () => {
  it('leaves nothing of the registration, and can be repeated', async () => {
    const { act, dir } = setUp();
    await act('install', (manager) => manager.install());
    await act('uninstall', (manager) => manager.uninstall());
    expect(files(dir)).toEqual([]);
    await act('uninstall-absent', (manager) => manager.uninstall());
  });

  it('with everything of the agent leaves no file at all', async () => {
    const { act, dir, installation } = setUp();
    const layout: Layout = {
      ...layoutOf({ platform: 'darwin', scope: 'system', home: '/Users/ada', environment: {} }),
      programDir: join(dir, 'program'),
      commandPath: join(dir, 'bin/lai-agent'),
      configDir: join(dir, 'Library/Application Support/LAI'),
      settingsPath: join(dir, 'Library/Application Support/LAI/agent.env'),
      dataDir: join(dir, 'Library/Application Support/LAI/state'),
      logDir: dirname(installation.logPath ?? ''),
    };
    await act('install', (manager) => manager.install());
    for (const path of [
      join(layout.programDir, 'versions/1.0.0/lai-agent.js'),
      layout.settingsPath,
      join(layout.dataDir, 'node.json'),
    ]) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, '');
    }
    writeFileSync(installation.logPath ?? '', 'crashed');
    writeFileSync(`${installation.logPath}.0.bz2`, 'rotated');
    mkdirSync(dirname(layout.commandPath));
    symlinkSync(join(layout.programDir, 'lai-agent'), layout.commandPath);
    const run = () => Promise.reject(new Error('a Mac has no account of ours to remove'));
    await act('uninstall', (manager) => uninstall({ layout, manager, isPurge: true, run }));
    // Of this test's own making: the layout has another.
    rmSync(installation.dataDir, { recursive: true });
    expect(readdirSync(dir, { recursive: true }).map(String).sort()).toEqual([
      'Library',
      'Library/Application Support',
      'Library/LaunchDaemons',
      'Library/Logs',
      'bin',
      'etc',
      'etc/newsyslog.d',
    ]);
  });

  it('leaves the registration when it could not be stopped', async () => {
    const { act, listPath } = setUp();
    await act('install', (manager) => manager.install());
    await expect(act('stop-not-permitted', (manager) => manager.uninstall())).rejects.toThrow();
    expect(existsSync(listPath)).toBe(true);
  });
});
