import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NodeSnapshot } from '@lai/shared/node';
import type { ReleaseManifest } from '@lai/shared/release';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NodeRecord } from '../nodes/registry.ts';
import { type CommandRequest, RunningCommand } from '../nodes/running-command.ts';
import { listAuditRows } from '../store/audit-log.ts';
import { type Database, openDatabase } from '../store/database.ts';
import { insertNode } from '../store/nodes.ts';
import type { Release, Releases } from './releases.ts';
import { Rollouts } from './rollouts.ts';

const ADA = { name: 'ada', origin: 'test' };
const LIMIT = { timeout: 15_000, interval: 20 };
const file = { name: 'agent.tar.gz', sha256: 'a'.repeat(64), bytes: 1 };
const manifest: ReleaseManifest = {
  ...{ version: '0.2.0', minimumVersion: '0.1.0', agent: file },
  platforms: { 'linux-x64': { runtime: '24.21.0', archive: { ...file, name: 'linux-x64.tar.gz' } } },
};
const release: Release = {
  ...{ version: '0.2.0', manifest, signed: { text: '{}', signature: `${'A'.repeat(86)}==` }, files: new Map() },
};

describe('a rollout and several replicas', { timeout: 60_000 }, () => {
  let dir: string;
  let db: Database;
  const replicas: Rollouts[] = [];
  /** What became of the fleet, as every replica sees it. */
  let records: NodeRecord[];
  let told: { nodeId: string; request: CommandRequest; command: RunningCommand }[];
  let shelf: Release | null;

  const record = (nodeId: string): NodeRecord => ({
    ...{ nodeId, epoch: 1, instanceId: 'first', replicaId: 'r', liveness: 'alive' },
    snapshot: {
      ...{ name: nodeId, agentVersion: '0.1.0', os: { platform: 'linux', release: '', arch: 'x64' }, models: [], inFlight: 0 },
      update: { isAllowed: true, state: 'none', version: null, detail: null },
    } as unknown as NodeSnapshot,
  });
  const replica = (): Rollouts => {
    const registry = {
      list: () => records,
      link: (nodeId: string) => ({
        cancelCommand: () => {},
        command: (request: CommandRequest) => {
          const command = new RunningCommand({ commandId: 'c', type: request.type, onCancel: () => {} });
          told.push({ nodeId, request, command });
          return command;
        },
      }),
    };
    const releases = { dir: '/releases', find: async () => shelf } as unknown as Releases;
    const made = new Rollouts({ db, registry: registry as never, releases, log: pino({ level: 'silent' }) });
    replicas.push(made);
    return made;
  };
  const become = (nodeId: string, agentVersion: string) => {
    records = records.map((each) =>
      each.nodeId === nodeId ? { ...each, instanceId: 'second', snapshot: { ...each.snapshot, agentVersion } } : each,
    );
  };
  const toldNodes = () => told.map(({ nodeId }) => nodeId);

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'lai-rollouts-'));
    db = await openDatabase(join(dir, 'lai.sqlite'));
    for (const id of ['a', 'b']) await insertNode(db, { id, name: id, public_key: id, created_at_ms: 1, revoked_at_ms: null });
    records = ['a', 'b'].map(record);
    told = [];
    shelf = release;
  });
  afterEach(async () => {
    for (const { command } of told) command.take({ kind: 'done' });
    await Promise.all(replicas.splice(0).map((each) => each.close()));
    await db.destroy();
    rmSync(dir, { recursive: true, force: true });
  });

  it('tells each node once, whoever takes the step', async () => {
    const [one] = [replica(), replica(), replica()];
    await one?.start(ADA, {});
    await expect.poll(toldNodes, LIMIT).toEqual(['a']);
    expect(told[0]?.request).toEqual({ type: 'node.update', release: release.signed, isForced: false });
    become('a', '0.2.0');
    await expect.poll(toldNodes, LIMIT).toEqual(['a', 'b']);
    become('b', '0.2.0');
    await expect.poll(async () => (await one?.current())?.state, LIMIT).toBe('done');
    expect(toldNodes()).toEqual(['a', 'b']);
    const audit = (await listAuditRows(db, { limit: 100 })).map(({ action, object }) => `${action} ${object}`).toReversed();
    expect(audit).toEqual(['rollout.start 0.2.0', 'node.update a', 'node.update b', 'rollout.finish 0.2.0']);
  });

  it('goes on when the one that began it is gone', async () => {
    const one = replica();
    await one.start(ADA, {});
    await expect.poll(toldNodes, LIMIT).toEqual(['a']);
    await one.close();
    const other = replica();
    become('a', '0.2.0');
    await expect.poll(toldNodes, LIMIT).toEqual(['a', 'b']);
    expect((await other.current())?.startedBy).toBe('ada');
  });

  it('is stopped by a node that says no, and tells nobody further', async () => {
    const one = replica();
    await one.start(ADA, {});
    await expect.poll(toldNodes, LIMIT).toEqual(['a']);
    told[0]?.command.take({ kind: 'failed', code: 'update_refused', detail: 'The release is not signed with my key.' });
    await expect
      .poll(() => one.current(), LIMIT)
      .toMatchObject({ state: 'stopped', reason: 'a: The release is not signed with my key.' });
    expect(toldNodes()).toEqual(['a']);
  });

  it('is not stopped by a node that goes away in the middle: that is what an update looks like', async () => {
    const one = replica();
    await one.start(ADA, {});
    await expect.poll(toldNodes, LIMIT).toEqual(['a']);
    told[0]?.command.take({ kind: 'failed', code: 'node_lost', detail: null });
    become('a', '0.2.0');
    await expect.poll(toldNodes, LIMIT).toEqual(['a', 'b']);
    expect(await one.current()).toMatchObject({ state: 'running' });
  });

  it('is stopped by an operator, or when its release is taken away', async () => {
    const one = replica();
    await expect(one.stop(ADA)).rejects.toThrow('Nothing is being rolled out');
    await one.start(ADA, {});
    await expect.poll(toldNodes, LIMIT).toEqual(['a']);
    await expect(one.start(ADA, {})).rejects.toThrow('is on its way');
    expect(await one.stop(ADA)).toMatchObject({ state: 'stopped', reason: 'stopped by ada' });
    await one.start(ADA, {});
    shelf = null;
    await expect
      .poll(() => one.current(), LIMIT)
      .toMatchObject({ state: 'stopped', reason: expect.stringContaining('any more') });
  });

  it('needs a release, and a node that is there to be named', async () => {
    const one = replica();
    await expect(one.start(ADA, { first: 'nobody' })).rejects.toThrow('no node nobody');
    shelf = null;
    await expect(one.start(ADA, {})).rejects.toThrow('no release');
    await expect(one.start(ADA, { version: '0.9.0' })).rejects.toThrow('no release 0.9.0');
    expect(await one.current()).toBeNull();
  });
});
