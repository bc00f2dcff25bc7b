import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocketServer } from 'ws';
import { exitCodeOf, findingsPage } from './doctor.ts';
import { checkDevices, checkDisk, checkFiles, checkNode } from './doctor-machine.ts';
import { checkNetwork, clockSkew, unreachable } from './doctor-network.ts';
import { linuxSleepFinding, pmsetFinding, powercfgFinding } from './doctor-texts.ts';
import { fail, warn, well } from './finding.ts';

const folder = () => {
  const made = mkdtempSync(path.join(tmpdir(), 'lai-doctor-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
};
const levels = (findings: readonly { id: string; level: string }[]) => findings.map(({ id, level }) => `${id} ${level}`);
const env = { platform: 'linux' as const, environment: {} };

describe('the findings', () => {
  it('fail a script only when something is broken', () => {
    expect(exitCodeOf([well('a', 'x'), warn('b', 'x', 'y')])).toBe(0);
    expect(exitCodeOf([well('a', 'x'), fail('b', 'x', 'y')])).toBe(1);
  });

  it('come with what to do', () => {
    expect(findingsPage([well('a', 'Good.'), fail('b', 'Bad.', 'Do this.')])).toBe('✓ Good.\n✗ Bad.\n    → Do this.');
  });
});

describe('the road to the coordinator', () => {
  const coordinator = async ({ upgrades = true, date = true } = {}) => {
    const server = http.createServer((_, response) => {
      response.sendDate = date;
      response.end('ok');
    });
    const sockets = new WebSocketServer({ noServer: true });
    server.on('upgrade', (request, socket, head) => {
      if (upgrades) sockets.handleUpgrade(request, socket, head, () => {});
      else socket.end('HTTP/1.1 426 Upgrade Required\r\nconnection: close\r\n\r\n');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      for (const socket of sockets.clients) socket.terminate();
      server.closeAllConnections();
      server.close();
    });
    const address = server.address();
    return `http://127.0.0.1:${address && typeof address === 'object' ? address.port : 0}`;
  };

  it('is open', async () => {
    expect(levels(await checkNetwork(await coordinator(), env))).toEqual([
      'coordinator.dns ok',
      'coordinator.http ok',
      'coordinator.clock ok',
      'coordinator.socket ok',
    ]);
  });

  it('has a proxy that drops sockets', async () => {
    const findings = await checkNetwork(await coordinator({ upgrades: false, date: false }), env);
    expect(levels(findings).at(-1)).toBe('coordinator.socket fail');
    expect(findings.at(-1)?.sentence).toContain('426');
  });

  it('ends at a closed port', async () => {
    expect(levels(await checkNetwork('http://127.0.0.1:9', env))).toEqual(['coordinator.dns ok', 'coordinator.http fail']);
  });

  it('ends at a name that nobody knows', async () => {
    expect(levels(await checkNetwork('http://lai.invalid', env))).toEqual(['coordinator.dns fail']);
  });

  it('goes through a proxy, which knows the names', async () => {
    const findings = await checkNetwork('https://lai.invalid', { ...env, environment: { HTTPS_PROXY: 'http://proxy' } });
    expect(levels(findings)[0]).toBe('coordinator.proxy ok');
    expect(levels(findings).some((level) => level.startsWith('coordinator.dns'))).toBe(false);
  });

  it.each([
    ['CERT_HAS_EXPIRED', 'linux', 'coordinator.tls'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'linux', 'coordinator.tls'],
    ['EHOSTUNREACH', 'darwin', 'coordinator.local-network'],
    ['EHOSTUNREACH', 'linux', 'coordinator.http'],
    ['ECONNREFUSED', 'win32', 'coordinator.http'],
  ] as const)('%s on %s is explained as %s', (code, platform, id) => {
    expect(unreachable(code, 'https://lai', platform)).toMatchObject({ id, level: 'fail' });
  });

  it.each<[string, number, string | undefined]>([
    ['the same', 0, 'ok'],
    ['half a minute off', 30_000, 'ok'],
    ['two minutes ahead', 120_000, 'fail'],
    ['two minutes behind', -120_000, 'fail'],
  ])('clocks that are %s', (_, aheadMs, level) => {
    const now = Date.UTC(2026, 10, 21, 12, 0, 0);
    expect(clockSkew(new Date(now - aheadMs).toUTCString(), now, now + 50)?.level).toBe(level);
  });

  it('tells no time without a Date header', () => {
    expect(clockSkew(null, 0, 0)).toBeNull();
  });
});

describe('the files', () => {
  it('of a machine that has not joined', () => {
    expect(levels(checkFiles(folder()))).toEqual(['files.data ok', 'files.identity fail']);
  });

  it('with a policy that cannot be used', () => {
    const dataDir = folder();
    writeFileSync(path.join(dataDir, 'policy.json'), '{"gaming":{"graceMs":"soon"}}');
    expect(levels(checkFiles(dataDir))).toContain('files.policy fail');
  });

  it.runIf(process.platform !== 'win32')('with a key that others can read', () => {
    const dataDir = folder();
    writeFileSync(path.join(dataDir, 'node.json'), '{}');
    chmodSync(path.join(dataDir, 'node.json'), 0o644);
    const [, identity] = checkFiles(dataDir);
    expect(identity).toMatchObject({ id: 'files.identity', level: 'fail' });
    expect(identity?.sentence).toContain('readable by others');
  });
});

describe('the machine', () => {
  it('has room for models, or a folder that will be made', async () => {
    expect(levels(await checkDisk(path.join(folder(), 'not', 'yet')))[0]).toMatch(/^disk\.models/);
  });

  it.runIf(process.platform === 'linux' && process.getuid?.() !== 0)('has GPU devices that this user may not open', () => {
    const dev = folder();
    mkdirSync(path.join(dev, 'dri'));
    writeFileSync(path.join(dev, 'dri', 'renderD128'), '', { mode: 0 });
    expect(levels(checkDevices(dev))).toEqual(['gpu.permissions fail']);
  });

  it('has GPU devices that can be opened, or none', () => {
    const dev = folder();
    expect(checkDevices(dev)).toEqual([]);
    writeFileSync(path.join(dev, 'nvidia0'), '');
    expect(levels(checkDevices(dev))).toEqual(['gpu.permissions ok']);
  });

  it.each([
    ['24.21.0', 'ok'],
    ['25.0.0', 'ok'],
    ['22.9.0', 'fail'],
  ])('runs Node.js %s', (version, level) => {
    expect(checkNode(version).level).toBe(level);
  });

  it.each([
    [' sleep                1 (sleep prevented by powerd)\n displaysleep         10', 'warn'],
    [' sleep                0', 'ok'],
    ['nothing of the kind', undefined],
  ])('is a Mac that says %j', (text, level) => {
    expect(pmsetFinding(text)?.level).toBe(level);
  });

  it.each([
    [
      '    Index der aktuellen Wechselstromeinstellung: 0x00000708\n    Index der aktuellen Gleichstromeinstellung: 0x0000012c',
      'warn',
    ],
    ['    Current AC Power Setting Index: 0x00000000\n    Current DC Power Setting Index: 0x0000012c', 'ok'],
    ['', undefined],
  ])('is a Windows that says %j', (text, level) => {
    expect(powercfgFinding(text)?.level).toBe(level);
  });

  it.each([
    [{ sleepTarget: 'masked', idleAction: 'suspend', canInhibit: false }, 'ok'],
    [{ sleepTarget: 'static', idleAction: 'suspend', canInhibit: true }, 'warn'],
    [{ sleepTarget: 'static', idleAction: '', canInhibit: false }, 'warn'],
    [{ sleepTarget: 'static', idleAction: 'ignore', canInhibit: true }, 'ok'],
  ])('is a Linux with %j', (facts, level) => {
    expect(linuxSleepFinding(facts).level).toBe(level);
  });
});
