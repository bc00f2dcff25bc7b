import type { NodeEntry, NodeView } from '@lai/shared/admin-api';
import { describe, expect, it } from 'vitest';
import {
  backupFinding,
  certificateFinding,
  clockFinding,
  diskFinding,
  listeningFinding,
  nodeFinding,
  redisFindings,
  releasesFinding,
} from './findings.ts';

const NOW = Date.parse('2026-12-01T12:00:00Z');
const DAY = 86_400_000;
const GIB = 1024 ** 3;

describe('the doctor', () => {
  it.each([
    ['noeviction', 1, 10, 'ok', 'ok'],
    ['allkeys-lru', 1, 10, 'fail', 'ok'],
    ['noeviction', 9.5, 10, 'ok', 'warn'],
    ['noeviction', 9.5, 0, 'ok', 'ok'],
  ])('judges a Redis with %s that uses %d of %d', (policy, used, max, ofPolicy, ofMemory) => {
    const levels = redisFindings({ policy, usedBytes: used * GIB, maxBytes: max * GIB }).map(({ level }) => level);
    expect(levels).toEqual([ofPolicy, ofMemory]);
  });

  it.each([
    [100 * GIB, 'ok'],
    [GIB, 'warn'],
    [1e8, 'fail'],
  ])('judges a disk with %d bytes free', (free, level) => {
    expect(diskFinding('/data', free).level).toBe(level);
  });

  it.each([
    [new Date(NOW - 5_000).toUTCString(), 'ok'],
    [new Date(NOW + 120_000).toUTCString(), 'fail'],
    [null, 'warn'],
    ['yesterday', 'warn'],
  ])('judges the clock by %s', (header, level) => {
    expect(clockFinding(header, NOW).level).toBe(level);
  });

  it.each([
    [true, false, false, 'ok'],
    [false, true, false, 'ok'],
    [false, false, true, 'ok'],
    [false, false, false, 'fail'],
  ])('judges where it listens: loopback %s, TLS %s, proxy %s', (isLoopback, hasTls, hasProxy, level) => {
    expect(listeningFinding({ url: 'http://x', isLoopback, hasTls, hasProxy }).level).toBe(level);
  });

  it.each([
    [90, 'ok'],
    [5, 'warn'],
    [-1, 'fail'],
  ])('judges a certificate that ends in %d days', (days, level) => {
    expect(certificateFinding(NOW + days * DAY + 1_000, NOW).level).toBe(level);
  });

  it.each([
    [null, 'warn'],
    [NOW - DAY, 'ok'],
    [NOW - 20 * DAY, 'warn'],
  ])('judges a backup of %s', (atMs, level) => {
    expect(backupFinding(atMs, NOW).level).toBe(level);
  });

  it('names a release that is not offered', () => {
    const status = {
      releasesDir: '/r',
      releases: [],
      problems: ['1.0.0 has a wrong signature'],
      rollout: null,
      nodes: [],
      making: null,
    };
    expect(releasesFinding(status)).toMatchObject({ level: 'warn', sentence: expect.stringContaining('wrong signature') });
    expect(releasesFinding({ ...status, problems: [] }).level).toBe('ok');
  });

  const view = (facts: object, liveness: NodeView['liveness'] = 'alive') =>
    ({
      nodeId: 'node_1',
      epoch: 1,
      liveness,
      snapshot: { name: 'den', runtimes: [], models: [], holds: [], ...facts },
    }) as unknown as NodeView;
  const ollama = { kind: 'ollama', version: null, state: 'ready', mode: 'adopted', isSimulated: false, detail: null };
  const model = { id: 'm', runtime: 'ollama', state: 'warm', capabilities: ['chat'], failure: null };
  it.each<[string, NodeView, Partial<NodeEntry> | undefined, string, RegExp]>([
    ['ready', view({ runtimes: [ollama], models: [model] }), undefined, 'ok', /ready with m/],
    ['away', view({}, 'offline'), undefined, 'warn', /den is away/],
    ['without a model', view({ runtimes: [ollama] }), undefined, 'fail', /no model/],
    [
      'held',
      view({ runtimes: [ollama], models: [model], holds: [{ kind: 'gaming', cause: 'owner' }] }),
      undefined,
      'warn',
      /gaming/,
    ],
    [
      'in trouble',
      view({ runtimes: [ollama], models: [model], troubles: ['a GPU was lost'] }),
      undefined,
      'warn',
      /GPU was lost/,
    ],
    ['pending', view({}), { state: 'pending', name: 'den' }, 'warn', /approved/],
    ['locked', view({}), { state: 'locked', stateReason: 'cloned', name: 'den' }, 'fail', /cloned/],
  ])('tells the worst of a node that is %s', (_, node, entry, level, sentence) => {
    const finding = nodeFinding(node, entry as NodeEntry | undefined);
    expect(finding.level).toBe(level);
    expect(finding.sentence).toMatch(sentence);
    expect(finding.fix === null).toBe(level === 'ok');
  });
});
