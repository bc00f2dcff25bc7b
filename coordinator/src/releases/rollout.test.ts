import type { NodeSnapshot } from '@lai/shared/node';
import type { ReleaseManifest, UpdateReport } from '@lai/shared/release';
import { describe, expect, it } from 'vitest';
import type { NodeRecord } from '../nodes/registry.ts';
import { newEntry, nextStep, type RolloutState, refused } from './rollout.ts';

const NOW = 1_000_000_000;
const MINUTE = 60_000;
const file = (name: string) => ({ name, sha256: 'a'.repeat(64), bytes: 1 });
const manifest: ReleaseManifest = {
  version: '0.3.0',
  minimumVersion: '0.1.0',
  agent: file('agent.tar.gz'),
  platforms: { 'linux-x64': { runtime: '24.21.0', archive: file('linux-x64.tar.gz') } },
};
const CALM: UpdateReport = { isAllowed: true, state: 'none', version: null, detail: null };

interface Looks {
  version?: string;
  update?: Partial<UpdateReport> | null;
  models?: string[];
  liveness?: NodeRecord['liveness'];
  process?: string;
  arch?: string;
  inFlight?: number;
}

const node = (name: string, looks: Looks = {}): NodeRecord => ({
  nodeId: `id-${name}`,
  epoch: 1,
  instanceId: looks.process ?? 'first',
  replicaId: 'r',
  liveness: looks.liveness ?? 'alive',
  snapshot: {
    name,
    agentVersion: looks.version ?? '0.2.0',
    os: { platform: 'linux', release: '', arch: looks.arch ?? 'x64' },
    models: (looks.models ?? []).map((id) => ({ id })),
    inFlight: looks.inFlight ?? 0,
    ...(looks.update === null ? {} : { update: { ...CALM, ...looks.update } }),
  } as unknown as NodeSnapshot,
});

const begin = (names: string[], changes: Partial<RolloutState> = {}): RolloutState => ({
  ...{ id: 'r', version: '0.3.0', isForced: false, parallel: 1, first: null, state: 'running', reason: null },
  ...{ startedBy: 'ada', startedAtMs: NOW, endedAtMs: null, nodes: names.map((name) => newEntry(`id-${name}`, name)) },
  ...changes,
});

const step = (rollout: RolloutState, records: NodeRecord[], atMs = NOW) =>
  nextStep(rollout, { records, members: new Set(rollout.nodes.map(({ nodeId }) => nodeId)) }, manifest, atMs);
const states = ({ nodes }: RolloutState) => Object.fromEntries(nodes.map(({ name, state }) => [name, state]));
const only = (rollout: RolloutState) => rollout.nodes[0];

/** A rollout in which `name` has just been told. */
const told = (name: string, looks: Looks = {}) => step(begin([name]), [node(name, looks)]).rollout;

describe('a rollout', () => {
  it('begins with one node, goes on one by one, and is done when all of them are', () => {
    let rollout = begin(['a', 'b', 'c']);
    const fleet = new Map(['a', 'b', 'c'].map((name) => [name, node(name)]));
    const turns: string[] = [];
    for (let round = 0; round < 6 && rollout.state === 'running'; round += 1) {
      const next = step(rollout, [...fleet.values()]);
      expect(next.rollout.nodes.filter(({ state }) => state === 'updating').length).toBeLessThanOrEqual(1);
      for (const nodeId of next.asks) {
        const name = nodeId.slice(3);
        turns.push(name);
        fleet.set(name, node(name, { version: '0.3.0', process: 'second' }));
      }
      rollout = next.rollout;
    }
    expect(turns).toEqual(['a', 'b', 'c']);
    expect(rollout).toMatchObject({ state: 'done', reason: null, endedAtMs: NOW });
  });

  it('tells as many at once as it may, as soon as one has proved the version', () => {
    const fleet = ['a', 'b', 'c', 'd', 'e'].map((name) => node(name));
    const first = step(begin(['a', 'b', 'c', 'd', 'e'], { parallel: 3 }), fleet);
    expect(first.asks).toEqual(['id-a']);
    expect(step(first.rollout, fleet).asks).toEqual([]);
    fleet[0] = node('a', { version: '0.3.0' });
    expect(step(first.rollout, fleet).asks).toEqual(['id-b', 'id-c', 'id-d']);
  });

  it('begins with the node that would be missed least', () => {
    const fleet = [
      node('alone', { models: ['rare', 'common'] }),
      node('busy', { models: ['common'], inFlight: 3 }),
      node('idle', { models: ['common'] }),
    ];
    expect(step(begin(['alone', 'busy', 'idle']), fleet).asks).toEqual(['id-idle']);
  });

  it('begins with the node that was named, and waits for it', () => {
    const rollout = begin(['a', 'b'], { first: 'id-b' });
    expect(step(rollout, [node('a'), node('b')]).asks).toEqual(['id-b']);
    expect(step(rollout, [node('a'), node('b', { liveness: 'dead' })]).asks).toEqual([]);
    // Unless that one cannot be updated at all.
    expect(step(rollout, [node('a'), node('b', { update: null })]).asks).toEqual(['id-a']);
  });

  it('never takes away two nodes that are the only ones with a model', () => {
    const fleet = [
      node('done', { version: '0.3.0', models: ['other'] }),
      node('a', { models: ['m:latest'] }),
      node('b', { models: ['m'] }),
      node('c', { models: ['n'] }),
    ];
    const names = ['done', 'a', 'b', 'c'];
    const { asks, rollout } = step(begin(names, { parallel: 8 }), fleet);
    expect(asks).toEqual(['id-a', 'id-c']);
    fleet[1] = node('a', { liveness: 'dead', models: ['m:latest'] });
    expect(step(rollout, fleet).asks).toEqual([]);
    fleet[1] = node('a', { version: '0.3.0', models: ['m:latest'] });
    expect(step(rollout, fleet).asks).toEqual(['id-b']);
  });

  it('takes a node that is the only one with its model all the same, in its turn', () => {
    expect(step(begin(['a']), [node('a', { models: ['rare'] })]).asks).toEqual(['id-a']);
  });

  it('waits for machines that are switched off, for a week', () => {
    const fleet = [node('a', { version: '0.3.0' }), node('pc', { liveness: 'dead' })];
    const waiting = step(begin(['a', 'pc']), fleet);
    expect(states(waiting.rollout)).toEqual({ a: 'done', pc: 'waiting' });
    expect(waiting.rollout.state).toBe('running');
    fleet[1] = node('pc');
    expect(step(waiting.rollout, fleet, NOW + 60 * MINUTE).asks).toEqual(['id-pc']);
    for (const liveness of ['alive', 'dead'] as const) {
      fleet[1] = node('pc', { liveness });
      expect(step(waiting.rollout, fleet, NOW + 8 * 24 * 60 * MINUTE)).toMatchObject({ asks: [], rollout: { state: 'done' } });
    }
  });

  it('does nothing more when it has ended', () => {
    for (const state of ['done', 'stopped'] as const) expect(step(begin(['a'], { state }), [node('a')]).asks).toEqual([]);
  });
});

describe('a node whose turn comes', () => {
  it.each<[string, Looks, string, string | null]>([
    ['has the version', { version: '0.3.0' }, 'done', 'had this version'],
    ['was not installed as a service', { update: null }, 'skipped', 'not installed as a service'],
    ['belongs to somebody who forbids it', { update: { isAllowed: false } }, 'skipped', 'forbids'],
    ['is of a kind that the release is not for', { arch: 'riscv64' }, 'skipped', 'linux-riscv64'],
    ['is ahead', { version: '0.4.0' }, 'skipped', 'newer'],
    ['is too far behind', { version: '0.0.9' }, 'skipped', '0.1.0 has to come first'],
    ['took it back before', { update: { state: 'rolled_back', version: '0.3.0', detail: 'it crashed' } }, 'failed', 'it crashed'],
    ['took another one back', { update: { state: 'rolled_back', version: '0.2.9', detail: 'x' } }, 'updating', null],
    ['is two versions behind', { version: '0.1.0' }, 'updating', null],
  ])('and %s', (_, looks, state, detail) => {
    const { rollout, asks } = step(begin(['a']), [node('a', looks)]);
    expect(only(rollout)).toMatchObject({ state, detail: detail === null ? null : expect.stringContaining(detail) });
    expect(asks.length).toBe(state === 'updating' ? 1 : 0);
  });

  it.each<[string, Looks]>([
    ['is ahead', { version: '0.4.0' }],
    ['took it back before', { update: { state: 'rolled_back', version: '0.3.0', detail: 'it crashed' } }],
  ])('and %s is told when that is forced', (_, looks) => {
    expect(step(begin(['a'], { isForced: true }), [node('a', looks)]).asks).toEqual(['id-a']);
  });

  it('and left the fleet stops nobody', () => {
    const rollout = begin(['a', 'b']);
    const next = nextStep(rollout, { records: [node('a'), node('b')], members: new Set(['id-b']) }, manifest, NOW);
    expect(states(next.rollout)).toEqual({ a: 'skipped', b: 'updating' });
  });
});

describe('a node that was told', () => {
  it.each<[string, Looks, string]>([
    ['downloads', { update: { state: 'downloading', version: '0.3.0' } }, 'updating'],
    ['is away', { liveness: 'dead' }, 'updating'],
    ['is on trial', { version: '0.3.0', process: 'second', update: { state: 'trial', version: '0.3.0' } }, 'updating'],
    ['is back without its models', { version: '0.3.0', process: 'second' }, 'updating'],
    ['is back', { version: '0.3.0', process: 'second', models: ['m'] }, 'done'],
    [
      'still says what it said of an earlier time',
      { update: { state: 'rolled_back', version: '0.3.0', detail: 'old' } },
      'updating',
    ],
    ['took it back', { process: 'third', update: { state: 'rolled_back', version: '0.3.0', detail: 'it crashed' } }, 'failed'],
  ])('and %s', (_, looks, state) => {
    const { rollout } = step(told('a', { models: ['m'] }), [node('a', looks)], NOW + 1_000);
    expect(only(rollout)?.state).toBe(state);
  });

  it.each<[string, Looks, number, string]>([
    ['does not come back', { liveness: 'dead' }, 6, 'did not come back'],
    ['comes back without its models', { version: '0.3.0', process: 'second' }, 4, 'without its models'],
  ])('and %s is waited for, but not for ever', (_, looks, minutes, why) => {
    const noticed = step(told('a', { models: ['m'] }), [node('a', looks)], NOW + MINUTE).rollout;
    expect(noticed.state).toBe('running');
    const late = step(noticed, [node('a', looks)], NOW + (1 + minutes) * MINUTE).rollout;
    expect(late).toMatchObject({ state: 'stopped', reason: expect.stringContaining(why) });
  });

  it('and hangs at it is given up', () => {
    const busy = [node('a', { update: { state: 'downloading', version: '0.3.0' } })];
    expect(step(told('a'), busy, NOW + 44 * MINUTE).rollout.state).toBe('running');
    expect(step(told('a'), busy, NOW + 46 * MINUTE).rollout).toMatchObject({ state: 'stopped' });
  });

  it('and does nothing is told again, three times in all', () => {
    let rollout = told('a');
    const idle = [node('a')];
    expect(step(rollout, idle, NOW + MINUTE / 2).asks).toEqual([]);
    for (const minutes of [2, 4]) {
      const again = step(rollout, idle, NOW + minutes * MINUTE);
      expect(again.asks).toEqual(['id-a']);
      rollout = again.rollout;
    }
    expect(step(rollout, idle, NOW + 6 * MINUTE)).toMatchObject({ asks: [], rollout: { state: 'stopped' } });
  });

  it('and refused ends the rollout for those after it', () => {
    const two = step(begin(['a', 'b']), [node('a'), node('b')]).rollout;
    const after = refused(two, 'id-a', 'The policy on this machine forbids updates.', NOW);
    expect(after).toMatchObject({ state: 'stopped', reason: 'a: The policy on this machine forbids updates.' });
    expect(states(after)).toEqual({ a: 'failed', b: 'waiting' });
    expect(step(after, [node('a'), node('b')]).asks).toEqual([]);
    // Too late, or of somebody who was not told: nothing.
    expect(refused(after, 'id-a', 'x', NOW)).toBe(after);
    expect(refused(two, 'id-b', 'x', NOW)).toBe(two);
  });
});
