import type { FleetNode } from '@lai/shared/fleet-api';
import { describe, expect, it } from 'vitest';
import { attention, fleetSentences } from './fleet-sentences.ts';
import { gamingState } from './gaming-state.ts';
import { segmentsOf } from './memory-bar.tsx';
import { nodeState } from './node-state.ts';

const NOW = new Date(2026, 10, 29, 20, 0).getTime();
const report = (change: object = {}): NonNullable<FleetNode['report']> => ({
  ...{ agentVersion: '1', os: { platform: 'linux', release: '', arch: 'x64' }, gpus: [], modelDiskFreeBytes: null, holds: [] },
  runtimes: [{ kind: 'mock', version: null, state: 'ready', mode: 'owned', isSimulated: true, detail: null }],
  ...{ memory: { totalBytes: 1, freeBytes: 1 }, models: [], coldCount: 0, maxConcurrent: 1, inFlight: 0 },
  gaming: {
    mode: 'auto',
    setBy: 'default',
    untilMs: null,
    isActive: false,
    cause: null,
    allowsForced: false,
    obeysOperator: true,
  },
  ...change,
});
const node = (change: Partial<FleetNode> = {}, entry: object = {}): FleetNode => ({
  entry: {
    ...{ id: 'n', name: 'attic', group: 'default', state: 'approved', stateReason: null, fingerprint: 'a-b', createdAtMs: 0 },
    ...{ lastConnectedAtMs: null, lastAddress: null, lastTransport: null },
    desired: { generation: 0, isDraining: false, pinnedModels: [] },
    ...entry,
  },
  ...{ liveness: 'alive', epoch: 1, lastSeenMs: null, report: report() },
  ...change,
});
const hold = (kind: string, cause: string) => ({ kind, cause, sinceMs: NOW, untilMs: null });
const counts = { running: 0, waiting: 0, redis: 'up' as const };

describe('the state of a machine', () => {
  it.each([
    ['up', node(), 'ok', 'up'],
    ['waiting for approval', node({ report: null, liveness: 'offline' }, { state: 'pending' }), 'wait', 'needs approval'],
    ['away', node({ liveness: 'offline', lastSeenMs: NOW - 480_000 }), 'bad', 'away'],
    ['quiet', node({ liveness: 'suspect' }), 'wait', 'does not answer'],
    ['gaming', node({ report: report({ holds: [hold('gaming', 'cyberpunk2077.exe')] }) }), 'game', 'gaming'],
    ['resting', node({ report: report({ holds: [hold('draining', 'operator')] }) }), 'off', 'resting'],
    [
      'without its GPU',
      node({ report: report({ holds: [hold('gaming', 'x'), hold('gpu_lost', 'Xid 79')] }) }),
      'bad',
      'GPU lost',
    ],
    ['held for a reason of a newer agent', node({ report: report({ holds: [hold('too_hot', 'fan')] }) }), 'wait', 'too hot'],
  ])('is told of one that is %s', (_, machine, mark, word) => expect(nodeState(machine, NOW)).toMatchObject({ mark, word }));

  it('is said in sentences, the worst first, and of an absent one since when', () => {
    const away = node({ liveness: 'offline', lastSeenMs: NOW - 480_000 }, { id: 'w', name: 'windows-rtx' });
    const [first, second] = fleetSentences([node(), away], { ...counts, waiting: 2 }, NOW);
    expect(first?.text).toBe('windows-rtx is away since 19:52 (8 min).');
    expect(second?.text).toBe('1 of 2 machines take work.');
    expect(fleetSentences([], counts, NOW)[0]?.text).toBe('No machine has joined yet.');
    expect(fleetSentences([node()], { ...counts, redis: 'down' }, NOW)[0]?.mark).toBe('bad');
  });

  it('asks for attention for what somebody can mend', () => {
    const full = node({ report: report({ modelDiskFreeBytes: 1 }) });
    expect(attention([full, node({}, { state: 'pending' }), node({}, { state: 'revoked' })]).map(({ text }) => text)).toEqual([
      'The disk of attic is nearly full: no new model fits.',
      'attic waits for approval.',
    ]);
  });
});

describe('gaming, wanted and observed', () => {
  const wish = (mode: 'on' | 'off', untilMs: number | null = null) => ({
    desired: { generation: 1, isDraining: false, pinnedModels: [], gaming: { mode, untilMs } },
  });
  const told = (change: object) => report({ gaming: { ...report().gaming, ...change } });

  it.each([
    ['nobody wants anything', node(), { mode: 'auto', asked: null, refusal: null }],
    ['it was asked for and not done yet', node({}, wish('on')), { mode: 'auto', asked: 'on', refusal: null }],
    [
      'it was done',
      node({ report: told({ mode: 'on', setBy: 'operator', isActive: true }) }, wish('on')),
      { mode: 'on', asked: null },
    ],
    [
      'the owner said otherwise',
      node({ report: told({ mode: 'off', setBy: 'owner' }) }, wish('on')),
      { mode: 'off', asked: null },
    ],
    ['the wish is over', node({}, wish('on', NOW - 1)), { mode: 'auto', asked: null }],
    [
      'operators are not obeyed',
      node({ report: told({ obeysOperator: false }) }, wish('on')),
      { asked: null, refusal: 'Only its owner switches this, at the machine.' },
    ],
    ['it is away', node({ liveness: 'offline' }, wish('on')), { asked: 'on', refusal: 'It is told when it is back.' }],
  ])('when %s', (_, machine, expected) => expect(gamingState(machine, NOW)).toMatchObject(expected));
});

describe('the memory bar', () => {
  it('never goes beyond the card, whatever is told', () => {
    const model = (id: string, vramBytes: number) => ({ id, vramBytes, state: 'warm', sizeBytes: 1 }) as never;
    for (const used of [null, 0, 8, 16, 40]) {
      const shares = segmentsOf({ vramTotalBytes: 16, vramUsedBytes: used }, [model('a', 10), model('b', 12)]);
      expect(shares.reduce((sum, { share }) => sum + share, 0)).toBeLessThanOrEqual(1.000_001);
    }
    expect(segmentsOf({ vramTotalBytes: null, vramUsedBytes: null }, [])).toEqual([]);
  });
});
