/**
 * The agent on a clean Debian whose process 1 is systemd, from the pasted line to its last trace. Nothing is stood in for: curl, sudo, the
 * coordinator's own installer and files, a signed release with a whole Node, systemd's own judgement of the unit.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateIdentityKeys, type IdentityKeys } from '../../shared/src/ed25519.ts';
import type { JoinCommand } from '../../shared/src/release-api.ts';
import { buildRelease } from '../release/build-release.ts';
import { nodeThatRuns } from '../release/node-programs.ts';
import { DebianMachine, noMachineBecause } from './debian-machine.ts';
import { Fleet } from './fleet.ts';

const missing = noMachineBecause();
if (missing !== null) console.warn(`install-linux: skipped, because ${missing}`);

const UNIT = '/etc/systemd/system/lai-agent.service';
const MB = 1_000_000;

describe.skipIf(missing !== null)('an agent on a clean Debian', { timeout: 240_000 }, () => {
  let machine: DebianMachine;
  let fleet: Fleet;
  let key: IdentityKeys;
  let bare: Map<string, string>;

  const releasesDir = () => join(fleet.dataDir, 'releases');
  /** `begin`: what the agent does before anything else. */
  const release = (version: string, begin = '') =>
    buildRelease({
      version,
      outDir: releasesDir(),
      platforms: [`linux-${process.arch === 'arm64' ? 'arm64' : 'x64'}`],
      key,
      nodeSource: nodeThatRuns,
      isQuick: true,
      onVersion: (dir) => {
        const path = join(dir, 'lai-agent.js');
        writeFileSync(path, readFileSync(path, 'utf8').replace('\n', `\n${begin}\n`));
      },
    });
  const joinLine = async (): Promise<string> => {
    const response = await fetch(`${fleet.url}/api/v1/join-commands`, {
      method: 'POST',
      headers: { authorization: `Bearer ${fleet.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ os: 'linux', url: fleet.url }),
    });
    expect(response.status, await response.clone().text()).toBe(201);
    return ((await response.json()) as JoinCommand).command;
  };
  const untilVersion = (version: string) =>
    fleet.until(
      `version ${version} is connected`,
      ({ nodes }) => nodes.some(({ snapshot, liveness }) => liveness === 'alive' && snapshot?.agentVersion === version),
      60_000,
    );
  const mainPid = () => machine.run(`systemctl show lai-agent --property=MainPID --value`).trim();
  const line = (flags = '') => `curl -fsSL '${fleet.url}/install.sh' | sh -s -- ${flags}`;
  const again = (flags = '') => machine.runLong(line(flags));

  beforeAll(async () => {
    key = await generateIdentityKeys();
    fleet = await Fleet.start({ nodes: [] });
    [machine] = await Promise.all([DebianMachine.boot(), release('0.1.0')]);
    // Written by whoever sets machines up before us, and kept by the installer.
    machine.run('useradd ada && echo "ada ALL=(ALL) NOPASSWD: ALL" > /etc/sudoers.d/ada');
    machine.run('mkdir -p /etc/lai; echo LAI_RUNTIME=mock > /etc/lai/agent.env');
    bare = machine.files({ isOnlyNames: true });
  }, 400_000);
  afterAll(async () => {
    await machine?.stop();
    await fleet?.stop();
  });

  it('looks and changes nothing when asked for a dry run', async () => {
    const before = machine.files();
    const { code, text } = await again('--dry-run');
    expect(text).toContain('would switch to version 0.1.0');
    expect(text).toContain('Nothing was changed.');
    expect(code, text).toBe(0);
    expect(machine.files()).toEqual(before);
  });

  it('runs and serves after the pasted line, and its token stays nowhere', async () => {
    const joining = await joinLine();
    // Typed, and by somebody who is not root: the installer asks sudo itself.
    const { status, stdout: text, stderr } = machine.try('runuser -u ada -- sh', { input: joining });
    expect(status, text + stderr).toBe(0);
    expect(text).toContain('Version 0.1.0 runs and is connected.');
    // All of that went by without a turn of our event loop, which has not seen yet that its connections were closed.
    await setImmediate();
    const { nodes } = await fleet.until('its models are told', (status) => (status.nodes[0]?.snapshot?.models.length ?? 0) > 0);
    const model = nodes[0]?.snapshot?.models[0]?.id;
    const answer = await fleet.chat({ model, messages: [{ role: 'user', content: 'hello' }], max_tokens: 8 });
    expect(answer.status, await answer.clone().text()).toBe(200);
    const token = /laj_\w+/.exec(joining)?.[0] ?? '';
    expect(token).not.toBe('');
    // The journal as well, which keeps command lines, too.
    const places = '/etc /opt /var /run /tmp /root /home /usr/local /proc/[0-9]*/environ /proc/[0-9]*/cmdline';
    // From standard input, or grep would find itself.
    expect(machine.try(`grep -rls -f - ${places}`, { input: token }).stdout).toBe('');
  });

  it('is a unit that systemd has nothing to say about, with an exposure of 4.0 at most', () => {
    const verified = machine.try(`systemd-analyze verify ${UNIT}`);
    expect(verified.stdout + verified.stderr).toBe('');
    expect(verified.status).toBe(0);
    const judged = machine.try(`systemd-analyze security --offline=true --threshold=40 --no-pager ${UNIT}`);
    console.log(judged.stdout.trim().split('\n').at(-1));
    expect(judged.status, judged.stdout).toBe(0);
  });

  it('has an account of its own, without a login, that opens GPUs and keeps its key to itself', () => {
    expect(machine.run('id -nG lai-agent').trim().split(' ').sort()).toEqual(['lai-agent', 'video']);
    expect(machine.run('getent passwd lai-agent')).toContain(':/usr/sbin/nologin');
    expect(machine.run(`ps -o user= -p ${mainPid()}`).trim()).toBe('lai-agent');
    expect(machine.run('stat -c "%U %a" /var/lib/lai /var/lib/lai/node.json /etc/lai/agent.env').split('\n').slice(0, 3)).toEqual(
      ['lai-agent 700', 'lai-agent 600', 'lai-agent 600'],
    );
    expect(machine.run('journalctl -u lai-agent --no-pager | tail -3')).toContain('lai-agent');
  });

  it('stays exactly as it is when the line is pasted again', async () => {
    const still = () => [...machine.files()].filter(([path]) => !path.startsWith('/var/lib/lai/'));
    const [before, pid] = [still(), mainPid()];
    const { code, text } = await again();
    expect(code, text).toBe(0);
    expect(text).toContain('Everything is as it should be.');
    expect(still()).toEqual(before);
    expect(mainPid()).toBe(pid);
  });

  it('is repaired by the line when files are damaged', async () => {
    machine.run(
      'echo broken > /opt/lai/versions/0.1.0/lai-agent.js; rm /usr/local/bin/lai-agent; systemctl disable --quiet lai-agent',
    );
    const { code, text } = await again();
    expect(code, text).toBe(0);
    expect(machine.run('lai-agent --version').trim()).toBe('0.1.0');
    expect(machine.run('systemctl is-enabled lai-agent').trim()).toBe('enabled');
  });

  it('brings itself to a newer version, for 2 MB at most when it has the Node already', async () => {
    await release('0.2.0');
    const { agent } = JSON.parse(readFileSync(join(releasesDir(), '0.2.0', 'manifest.json'), 'utf8')) as {
      agent: { bytes: number };
    };
    console.log(`update: ${(agent.bytes / MB).toFixed(2)} MB`);
    expect(agent.bytes).toBeLessThanOrEqual(2 * MB);
    const { code, text } = await machine.runLong(
      'until lai-agent update --check | grep -q 0.2.0; do sleep 0.2; done; lai-agent update',
    );
    expect(code, text).toBe(0);
    expect(text).toContain('0.2.0 runs and is connected');
    await untilVersion('0.2.0');
    expect(machine.run('ls /opt/lai/versions').split('\n').filter(Boolean)).toEqual(['0.1.0', '0.2.0']);
    expect(machine.try('ls -a /opt/lai | grep -E "staging|trial"').stdout).toBe('');
  });

  it('comes back by itself from a version that crashes', async () => {
    await release('0.3.0', `if (process.argv[2] === 'run') process.exit(3);`);
    const { code, text } = await machine.runLong(
      'until lai-agent update --check | grep -q 0.3.0; do sleep 0.2; done; lai-agent update',
    );
    expect(text).toContain('0.3.0 was taken back: it ended 3 times before it was connected. 0.2.0 runs again.');
    expect(code).toBe(1);
    const status = await untilVersion('0.2.0');
    const update = status.nodes.find(({ snapshot }) => snapshot?.agentVersion === '0.2.0')?.snapshot?.update;
    expect(update).toMatchObject({ state: 'rolled_back', version: '0.3.0' });
    expect((await machine.runLong('lai-agent update')).text).toContain('Only --force tries it again.');
    expect((await again()).text).toContain('was taken back here');
  });

  it('is upgraded by the line, and not set back by it', async () => {
    await release('0.4.0');
    const { code, text } = await machine.runLong(
      `until curl -fsS ${fleet.url}/dl/latest/manifest.json | grep -q 0.4.0; do sleep 0.2; done; ${line()}`,
    );
    expect(code, text).toBe(0);
    expect(text).toContain('Version 0.4.0 runs and is connected.');
    expect((await again('--version 0.2.0')).text).toContain('Only --force goes back');
    expect(machine.run('lai-agent --version').trim()).toBe('0.4.0');
  });

  it('is there again after the power was cut', async () => {
    await machine.halt();
    await machine.start();
    await untilVersion('0.4.0');
    expect(machine.run('systemctl is-active lai-agent').trim()).toBe('active');
  });

  it('goes without a trace', async () => {
    const { code, text } = await again('--uninstall --purge');
    expect(code, text).toBe(0);
    rmSync(join(machine.root, 'etc/lai'), { recursive: true, force: true });
    bare.delete('/etc/lai');
    bare.delete('/etc/lai/agent.env');
    expect(machine.files({ isOnlyNames: true })).toEqual(bare);
    expect(machine.try('getent passwd lai-agent; getent group lai-agent').stdout).toBe('');
    expect(machine.try('systemctl list-unit-files --no-legend "lai*"').stdout).toBe('');
    expect(machine.try('ps -e -o args= | grep -v grep | grep lai').stdout).toBe('');
  });
});
