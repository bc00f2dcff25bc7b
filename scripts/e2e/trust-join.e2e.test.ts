import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuditEntry, FleetStatus, IssuedToken, NodeEntry } from '../../shared/src/admin-api.ts';
import { Fleet } from './fleet.ts';
import { Program } from './program.ts';
import { readStream } from './stream.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const AGENT = join(ROOT, 'agent', 'dist', 'lai-agent.js');
const LAI = join(ROOT, 'coordinator', 'dist', 'lai.js');
const MODEL = 'story:1b';

describe('who may join', () => {
  let fleet: Fleet;
  const running: Program[] = [];

  beforeAll(async () => {
    fleet = await Fleet.start({
      nodes: [
        { name: 'first', models: `${MODEL}=0.1GB,slots=2,tps=400,caps=chat`, tuning: { coldLoadMsPerGb: 0, prefillMs: 5 } },
      ],
    });
  });
  afterAll(async () => {
    for (const program of running) program.kill('SIGKILL');
    await Promise.all(running.map((program) => program.exited));
    await fleet?.stop();
  });

  const lai = (...args: string[]): Promise<string> => new Program('lai', [LAI, ...args], fleet.env).output();
  const listed = async (): Promise<NodeEntry[]> => JSON.parse(await lai('nodes', 'list', '--json'));
  const audit = async (): Promise<AuditEntry[]> => JSON.parse(await lai('audit', '--json'));
  const entry = async (name: string): Promise<NodeEntry> => {
    const found = (await listed()).find((node) => node.name === name);
    if (!found) throw new Error(`no node ${name}`);
    return found;
  };
  const mint = async (...args: string[]): Promise<IssuedToken> => JSON.parse(await lai('tokens', 'create', '--json', ...args));
  const joinAs = (name: string, token: string, dataDir = join(fleet.directory, name)): Program =>
    new Program(`join ${name}`, [AGENT, 'join', '--url', fleet.url, '--name', name, '--data-dir', dataDir], { LAI_TOKEN: token });
  const run = (name: string, dataDir = join(fleet.directory, name)): Program => {
    const program = new Program(
      `agent ${name}`,
      [
        ...[AGENT, 'run', '--data-dir', dataDir, '--name', name, '--local-port', '0'],
        ...['--runtime', 'mock', '--mock-url', fleet.node('first').engineUrl],
      ],
      { LAI_LOG_LEVEL: 'info' },
    );
    running.push(program);
    return program;
  };
  const alive = (name: string) =>
    fleet.until(`${name} is there`, (status) =>
      status.nodes.some((node) => node.snapshot?.name === name && node.liveness === 'alive' && node.snapshot.models.length > 0),
    );

  it('a machine with the join line is in the fleet and serves', async () => {
    const line = (await lai('tokens', 'create', '--join')).trim();
    expect(line).toMatch(/^LAI_TOKEN=laj_[0-9a-f]{12}_[0-9a-f]{32}_[0-9a-f]{32} lai-agent join --url http:\/\/127\.0\.0\.1:\d+$/);
    const token = /LAI_TOKEN=(\S+)/.exec(line)?.[1] ?? '';
    const joined = await joinAs('second', token).output();
    run('second');
    await alive('second');
    const { state, fingerprint, lastTransport } = await entry('second');
    expect({ state, lastTransport }).toEqual({ state: 'approved', lastTransport: 'loopback' });
    expect(joined).toContain(`Fingerprint of this node: ${fingerprint}`);
    // Both hold it, or the one that loads it first might have answered all before the other one is ready.
    await fleet.warmUp(MODEL);
    const isWarm = ({ snapshot }: FleetStatus['nodes'][number]) =>
      snapshot?.models.some(({ id, state }) => id === MODEL && state === 'warm') ?? false;
    await fleet.until('it is warm on both', ({ nodes }) => nodes.filter(isWarm).length === 2);
    const answers = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const response = await fleet.chat({
          model: MODEL,
          stream: true,
          // Long enough that the first node's two slots are taken when the others come.
          max_tokens: 200,
          messages: [{ role: 'user', content: 'Hi.' }],
        });
        return { node: response.headers.get('x-lai-node'), isDone: (await readStream(response)).isDone };
      }),
    );
    expect(answers.every(({ isDone }) => isDone)).toBe(true);
    expect(answers.map(({ node }) => node)).toContain('second');

    // The same token once more: refused, noted and cried out.
    const again = joinAs('thief', token, join(fleet.directory, 'thief'));
    expect(await again.exited).toBe(1);
    expect(again.text).toContain('unknown, used or expired');
    expect((await audit()).at(-1)).toMatchObject({ action: 'token.reused', detail: { name: 'thief' } });
    expect(fleet.coordinator.text).toContain('"alert":"token.reused"');
    expect((await listed()).map(({ name }) => name).sort()).toEqual(['first', 'second']);
  });

  it('a machine whose token needs approval waits for it, and both sides see the same words', async () => {
    const { token, view } = await mint('--uses', '2', '--ttl', '2d', '--group', 'attic');
    expect(view).toMatchObject({ needsApproval: true, maxUses: 2, group: 'attic' });
    const joined = await joinAs('third', token).output();
    expect(joined).toContain('An operator has to approve it first');
    const agent = run('third');
    await agent.until(/pending_approval/);
    const pending = await entry('third');
    expect(pending).toMatchObject({ state: 'pending', group: 'attic' });
    expect(joined).toContain(pending.fingerprint);
    expect((await fleet.status()).nodes.map(({ nodeId }) => nodeId)).not.toContain(pending.id);
    await lai('nodes', 'approve', 'third');
    await alive('third');
  });

  it('a copied identity is found out, locked, and free again when an operator says so', async () => {
    const dataDir = join(fleet.directory, 'second');
    const { id } = await entry('second');
    const copy = join(fleet.directory, 'copy');
    cpSync(join(dataDir, 'node.json'), join(copy, 'node.json'));
    // Whoever comes second with the same count is the one that is noticed, whichever of the two it is.
    const thief = run('second', copy);
    await expect.poll(async () => (await entry('second')).state, { timeout: 20_000 }).toBe('locked');
    await fleet.until('it is out', (status) => !status.nodes.some((node) => node.nodeId === id && node.liveness === 'alive'));
    expect(fleet.coordinator.text).toContain('"alert":"node.cloned"');
    expect((await audit()).at(-1)).toMatchObject({ action: 'node.lock', object: id });
    thief.kill('SIGKILL');
    const seconds = running.filter((program) => program.name === 'agent second');
    for (const program of seconds) program.kill('SIGKILL');
    await Promise.all(seconds.map((program) => program.exited));

    await lai('nodes', 'approve', 'second');
    run('second', dataDir);
    await alive('second');
  });

  it('a machine changes its key, and its old one opens nothing any more', async () => {
    const dataDir = join(fleet.directory, 'second');
    const before = await entry('second');
    const old = readFileSync(join(dataDir, 'node.json'), 'utf8');
    const agent = running.filter((program) => program.name === 'agent second').at(-1);
    agent?.kill('SIGTERM');
    await agent?.exited;
    const said = await new Program('rotate', [AGENT, 'rotate-key', '--data-dir', dataDir]).output();
    run('second', dataDir);
    await alive('second');
    const after = await entry('second');
    expect(after.fingerprint).not.toBe(before.fingerprint);
    expect(said).toContain(after.fingerprint);
    expect(JSON.parse(readFileSync(join(dataDir, 'node.json'), 'utf8'))).not.toHaveProperty('next');
    const stale = join(fleet.directory, 'stale');
    cpSync(join(dataDir, 'node.json'), join(stale, 'node.json'));
    writeFileSync(join(stale, 'node.json'), old, { mode: 0o600 });
    const refused = run('second', stale);
    await refused.until(/does not match the key of this node/);
    expect((await entry('second')).state).toBe('approved');
  });

  it('a machine is called what the operator says, put out, and forgotten', async () => {
    await lai('nodes', 'rename', 'second', 'cellar');
    await alive('cellar');
    const agent = running.filter((program) => program.name === 'agent second' && program.text.includes('connected')).at(-1);
    await lai('nodes', 'revoke', 'cellar');
    expect(await agent?.exited).toBe(1);
    expect(agent?.text).toContain('this node was removed from the fleet');
    expect(await entry('cellar')).toMatchObject({ state: 'revoked' });
    await lai('nodes', 'remove', 'cellar');
    const forgotten = run('second');
    expect(await forgotten.exited).toBe(1);
    expect(forgotten.text).toContain('this coordinator does not know the node');
    expect((await listed()).map(({ name }) => name).sort()).toEqual(['first', 'third']);
  });

  it('and everything that operators did is in a log that shows no tampering', async () => {
    expect(await lai('audit', 'verify')).toContain('intact');
    expect((await audit()).map(({ action }) => action)).toEqual(
      expect.arrayContaining([
        'key.create',
        'token.create',
        'node.enroll',
        'node.approve',
        'node.lock',
        'node.rotate',
        'node.revoke',
      ]),
    );
  });
});
