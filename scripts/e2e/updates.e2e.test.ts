import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuditEntry } from '../../shared/src/admin-api.ts';
import { generateIdentityKeys, type IdentityKeys } from '../../shared/src/ed25519.ts';
import type { ReleasePlatform } from '../../shared/src/release.ts';
import type { JoinCommand, UpdateStatus } from '../../shared/src/release-api.ts';
import { buildRelease } from '../release/build-release.ts';
import type { NodeSource } from '../release/node-programs.ts';
import { Fleet } from './fleet.ts';
import { InstalledAgent } from './installed-agent.ts';
import { readStream } from './stream.ts';

const MODEL = 'story:1b';
const NODES = ['alpha', 'beta'];
const platform = `${process.platform}-${process.arch}` as ReleasePlatform;
const os = process.platform === 'linux' ? 'linux' : 'macos';
const isHere = process.platform === 'linux' || process.platform === 'darwin';

describe.skipIf(!isHere)('updates of a fleet', { timeout: 120_000 }, () => {
  let directory: string;
  let fleet: Fleet;
  let key: IdentityKeys;
  const agents: InstalledAgent[] = [];

  const publish = (version: string, onVersion?: (dir: string) => void): Promise<string> =>
    buildRelease({
      ...{ version, outDir: join(directory, 'releases'), platforms: [platform], key, nodeSource: ourNode, isQuick: true },
      ...(onVersion ? { onVersion } : {}),
    });
  // The Node that runs us, without a copy of its 120 MB in every archive.
  const ourNode: NodeSource = async () => {
    const path = join(directory, 'node');
    writeFileSync(path, `#!/bin/sh\nexec '${process.execPath}' "$@"\n`, { mode: 0o755 });
    return { version: process.versions.node, path, licensePath: null };
  };
  const read = async <T>(path: string): Promise<T> => {
    const response = await fetch(`${fleet.url}/api/v1/${path}`, { headers: { authorization: `Bearer ${fleet.key}` } });
    return (await response.json()) as T;
  };
  const updates = () => read<UpdateStatus>('updates');
  const lookAt = async (what: string, isSo: (status: UpdateStatus) => boolean, limitMs = 100_000): Promise<UpdateStatus> => {
    const deadline = performance.now() + limitMs;
    for (;;) {
      const status = await updates();
      if (isSo(status)) return status;
      if (performance.now() > deadline)
        throw new Error(
          `not yet: ${what}\n${JSON.stringify(status.rollout, null, 1)}\n${agents.map(({ name, text }) => `${name}:\n${text.slice(-3_000)}`).join('\n')}`,
        );
      await pause(100);
    }
  };
  /** Names of the nodes that were told to become the version, in this order. */
  const toldOf = async (version: string): Promise<string[]> => {
    const audit = await read<AuditEntry[]>('audit?limit=100');
    const names = new Map((await updates()).nodes.map(({ nodeId, name }) => [nodeId, name]));
    const told = audit.toReversed().filter(({ action, detail }) => action === 'node.update' && detail['version'] === version);
    return [...new Set(told.map(({ object }) => names.get(object) ?? object))];
  };
  const ask = () => fleet.chat({ model: MODEL, stream: true, max_tokens: 5, messages: [{ role: 'user', content: 'Hi.' }] });

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'lai-updates-'));
    key = await generateIdentityKeys();
    mkdirSync(join(directory, 'releases'));
    fleet = await Fleet.start({
      nodes: [
        { name: 'engine', models: `${MODEL}=0.1GB,slots=4,tps=400,caps=chat`, tuning: { coldLoadMsPerGb: 0, prefillMs: 5 } },
      ],
      env: { LAI_RELEASES_DIR: join(directory, 'releases'), LAI_PUBLIC_URL: 'https://lai.example.org' },
    });
  });
  afterAll(async () => {
    await Promise.all(agents.map((agent) => agent.stop()));
    await fleet?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  it('there is nothing to install and nothing to update to before there is a release', async () => {
    await expect(fleet.lai('updates', 'start')).rejects.toThrow('no release');
    expect((await fetch(`${fleet.url}/install.sh`)).status).toBe(404);
    expect(await fleet.lai('updates', 'status')).toContain('none; docs/releases.md says');
    expect(fleet.coordinator.text).toContain('no release of the agent is here');
  });

  it('a release that is dropped into the folder is there, with installers that know it', async () => {
    await publish('7.1.0');
    await lookAt('the release is there', ({ releases }) =>
      releases.some(({ version, isLatest }) => version === '7.1.0' && isLatest),
    );
    const made: JoinCommand = JSON.parse(await fleet.lai('join-command', '--os', os, '--json', '--group', 'attic'));
    expect(made.command).toMatch(/^curl -fsS 'https:\/\/lai\.example\.org\/install\.sh' \| LAI_TOKEN='laj_\w+' sh$/);
    expect(made.token).toMatchObject({ group: 'attic', maxUses: 1 });
    const look = await fleet.lai('join-command', '--os', os, '--dry-run');
    expect(look).not.toContain('LAI_TOKEN');
    await expect(fleet.lai('join-command', '--os', 'windows')).rejects.toThrow('signed with a key that is not here');
    await expect(fleet.lai('join-command', '--os', os, '--url', 'http://10.0.0.1:5240')).rejects.toThrow('not encrypted');

    const script = await (await fetch(`${fleet.url}/install.sh`, { headers: { host: "evil'; id; '" } })).text();
    expect(script).toContain("'https://lai.example.org'");
    expect(script).toContain(key.publicKey);

    const file = await fetch(`${fleet.url}/dl/latest/manifest.json`);
    expect(await file.text()).toBe(readFileSync(join(directory, 'releases/7.1.0/manifest.json'), 'utf8'));
    const head = await fetch(`${fleet.url}/dl/7.1.0/agent.tar.gz`, { method: 'HEAD' });
    expect([head.status, await head.text(), head.headers.get('etag')?.length]).toEqual([200, '', 66]);
    for (const path of ['7.1.0/sbom.cdx.json', '7.1.1/agent.tar.gz', '7.1.0/..%2f..%2frelease.pub', '../release.pub'])
      expect((await fetch(`${fleet.url}/dl/${path}`)).status).toBe(404);
  });

  it('machines install it, and run it by its launcher', async () => {
    for (const name of NODES) {
      const agent = new InstalledAgent({
        ...{ name, version: '7.1.0', dir: join(directory, name), archive: join(directory, `releases/7.1.0/${platform}.tar.gz`) },
        args: ['--name', name, '--local-port', '0', '--runtime', 'mock', '--mock-url', fleet.node('engine').engineUrl],
        env: { LAI_AGENT_DATA_DIR: join(directory, name, 'data'), LAI_LOG_LEVEL: 'info' },
      });
      agents.push(agent);
      const token = (await fleet.lai('tokens', 'create')).trim();
      await agent.run(['join', '--url', fleet.url, '--name', name], { LAI_TOKEN: token });
      agent.start();
    }
    const { nodes } = await lookAt('both are there', (status) =>
      NODES.every((name) =>
        status.nodes.some((node) => node.name === name && node.version === '7.1.0' && node.update?.state === 'none'),
      ),
    );
    expect(nodes.find(({ name }) => name === 'engine')?.update).toBeNull();
  });

  it('the next release goes to one machine first, then to the other, while the fleet answers', async () => {
    await publish('7.2.0');
    await lookAt('the release is there', ({ releases }) => releases.some(({ version }) => version === '7.2.0'));
    const answers: boolean[] = [];
    let isOver = false;
    const asking = (async () => {
      while (!isOver) answers.push((await readStream(await ask())).isDone);
    })();
    expect(await fleet.lai('updates', 'start', '--first', 'beta')).toContain('Rollout of 7.2.0');
    const { rollout } = await lookAt('the rollout is over', (status) => {
      const busy = status.rollout?.nodes.filter(({ state }) => state === 'updating').map(({ name }) => name) ?? [];
      expect(busy.length).toBeLessThanOrEqual(1);
      return status.rollout?.state !== 'running';
    });
    isOver = true;
    await asking;
    expect(rollout).toMatchObject({ state: 'done', version: '7.2.0' });
    expect(rollout?.nodes.map(({ name, state, from }) => ({ name, state, from }))).toEqual(
      expect.arrayContaining([
        { name: 'engine', state: 'skipped', from: null },
        ...NODES.map((name) => ({ name, state: 'done', from: '7.1.0' })),
      ]),
    );
    for (const agent of agents) expect([agent.version, agent.codes]).toEqual(['7.2.0', [75]]);
    expect(await toldOf('7.2.0')).toEqual(['beta', 'alpha']);
    expect(answers.length).toBeGreaterThan(0);
    expect(answers.every(Boolean)).toBe(true);
  });

  it('a bad release stops at the first machine, which goes back by itself; a coordinator that starts again in between knows it', async () => {
    // It starts, and ends before it is connected.
    await publish('7.3.0', (dir) => {
      const bundle = join(dir, 'lai-agent.js');
      const bad = "if (process.argv[2] === 'run') { console.error('this version is no good'); process.exit(1); }\n";
      const text = readFileSync(bundle, 'utf8');
      const afterShebang = text.indexOf('\n') + 1;
      writeFileSync(bundle, text.slice(0, afterShebang) + bad + text.slice(afterShebang));
    });
    await lookAt('the release is there', ({ releases }) => releases.some(({ version }) => version === '7.3.0'));
    await fleet.lai('updates', 'start', '--first', 'alpha', '--parallel', '8');
    const alpha = agents.find(({ name }) => name === 'alpha');
    await lookAt('the first one is at it', ({ nodes }) =>
      nodes.some(({ name, update }) => name === 'alpha' && update?.version === '7.3.0'),
    );
    const saidBefore = fleet.coordinator.text;
    fleet.coordinator.kill('SIGKILL');
    await fleet.coordinator.exited;
    await fleet.restartCoordinator();
    const { rollout, nodes } = await lookAt('the rollout is over', (status) => status.rollout?.state === 'stopped');
    expect(rollout?.reason).toMatch(/^alpha: 7\.3\.0 was taken back: it ended 3 times/);
    expect(Object.fromEntries(rollout?.nodes.map(({ name, state }) => [name, state]) ?? [])).toMatchObject({
      alpha: 'failed',
      beta: 'waiting',
    });
    expect(nodes.find(({ name }) => name === 'alpha')).toMatchObject({
      version: '7.2.0',
      update: { state: 'rolled_back', version: '7.3.0' },
    });
    expect(agents.map(({ version }) => version)).toEqual(['7.2.0', '7.2.0']);
    expect(alpha?.text).toContain('this version is no good');
    expect(saidBefore + fleet.coordinator.text).toContain('"alert":"rollout.stopped"');
    expect(await toldOf('7.3.0')).toEqual(['alpha']);

    // Once more: not without force, because that machine knows it already.
    await fleet.lai('updates', 'start');
    await lookAt('stopped again', (status) => status.rollout?.state === 'stopped');
    expect(agents.find(({ name }) => name === 'beta')?.version).toBe('7.2.0');
  });

  it('it goes back to an older version only when that is forced, and who did what is in the log', async () => {
    await fleet.lai('updates', 'start', '--version', '7.1.0');
    const kept = await lookAt('over', (status) => status.rollout?.state !== 'running');
    expect(kept.rollout?.nodes.filter(({ state }) => state === 'skipped')).toHaveLength(3);
    await fleet.lai('updates', 'start', '--version', '7.1.0', '--force');
    await lookAt(
      'both are back',
      (status) => status.rollout?.state === 'done' && agents.every(({ version }) => version === '7.1.0'),
    );
    const audit = await read<AuditEntry[]>('audit?limit=100');
    const actions = audit.map(({ action, object }) => `${action} ${object}`);
    expect(actions).toContain('rollout.start 7.2.0');
    expect(actions).toContain('rollout.finish 7.2.0');
    expect(audit.find(({ action }) => action === 'rollout.stop')).toMatchObject({
      ...{ actor: 'rollout', object: '7.3.0' },
      detail: { reason: expect.stringContaining('was taken back') },
    });
    expect((await toldOf('7.1.0')).toSorted()).toEqual(NODES);
    expect(await fleet.lai('audit', 'verify')).toContain('intact');
  });
});
