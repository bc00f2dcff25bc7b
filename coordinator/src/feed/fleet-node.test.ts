import type { NodeEntry } from '@lai/shared/admin-api';
import { FleetNode } from '@lai/shared/fleet-api';
import type { LoadedModel } from '@lai/shared/node';
import { describe, expect, it } from 'vitest';
import type { NodeRecord } from '../nodes/registry.ts';
import { catalogOf, fleetNode, modelMatrix, withoutReadings } from './fleet-node.ts';

const entry: NodeEntry = {
  ...{ id: 'node_1', name: 'attic', group: 'default', state: 'approved', stateReason: null, fingerprint: 'a-b', createdAtMs: 1 },
  ...{ tokenId: null, lastConnectedAtMs: 900, lastAddress: null, lastTransport: null },
  desired: { generation: 0, isDraining: false, pinnedModels: [] },
};
const model = (id: string, state: LoadedModel['state'], sizeBytes = 5): LoadedModel => ({
  ...{ id, runtime: 'mock', state, capabilities: ['chat'], contextLength: null, sizeBytes, vramBytes: 0, slots: 1, inFlight: 0 },
  ...{ isPinned: false, expiresAtMs: null, failure: null },
});
const record = (change: Partial<NodeRecord> = {}, models: LoadedModel[] = [], vramUsedBytes = 1): NodeRecord => ({
  ...{ nodeId: 'node_1', epoch: 7, instanceId: 'i', replicaId: 'r', liveness: 'alive' },
  snapshot: {
    ...{ name: 'host', sequence: 1, takenAtMs: 1, agentVersion: '1', os: { platform: 'linux', release: '', arch: 'x64' } },
    ...{ runtimes: [], memory: { totalBytes: 1, freeBytes: 1 }, modelDiskFreeBytes: null, models, holds: [] },
    gpus: [
      {
        ...{ id: 'g', name: 'GPU', vendor: 'nvidia', isUnifiedMemory: false, vramTotalBytes: 9, vramUsedBytes, vramFreeBytes: 8 },
        ...{ utilization: 0, temperatureCelsius: null, powerWatts: null, driverVersion: null },
      },
    ],
    ...{ maxConcurrent: 1, inFlight: 0 },
  },
  ...change,
});

describe('fleetNode', () => {
  it('leaves out what only lies on disk, and says how much that is', () => {
    const node = fleetNode(entry, record({}, [model('a', 'cold'), model('b', 'warm'), model('c', 'failed')]), null);
    expect(FleetNode.parse(node).report).toMatchObject({ coldCount: 1, models: [{ id: 'b' }, { id: 'c' }] });
  });

  it.each([
    ['never told anything', null, null, { liveness: 'offline', epoch: null, lastSeenMs: 900, report: null }],
    ['is there', record(), null, { liveness: 'alive', epoch: 7, lastSeenMs: null }],
    ['is quiet', record({ liveness: 'suspect' }), null, { liveness: 'suspect', lastSeenMs: null }],
    ['went away', record({ liveness: 'dead' }), 950, { liveness: 'offline', lastSeenMs: 950 }],
    ['went away before we looked', record({ liveness: 'dead' }), null, { liveness: 'offline', lastSeenMs: 900 }],
  ])('of a node that %s', (_, told, awaySinceMs, expected) => {
    expect(fleetNode(entry, told, awaySinceMs)).toMatchObject(expected);
  });

  it('tells a reading from a state', () => {
    const calm = (told: NodeRecord) => JSON.stringify(withoutReadings(fleetNode(entry, told, null)));
    expect(calm(record({}, [], 5))).toBe(calm(record({}, [], 6)));
    expect(calm(record({ liveness: 'suspect' }))).not.toBe(calm(record()));
    expect(calm(record({}, [model('a', 'warm')]))).not.toBe(calm(record({}, [model('a', 'loading')])));
  });
});

describe('modelMatrix', () => {
  it('gives one letter for each model and machine, and one row to two spellings of a name', () => {
    const left = record({ nodeId: 'l' }, [model('b:latest', 'warm'), model('a', 'cold')]);
    const right = record({ nodeId: 'r' }, [model('b', 'unloading'), model('c', 'failed')]);
    expect(modelMatrix([left, right], ({ nodeId }) => nodeId)).toEqual({
      models: ['a', 'b', 'c'].map((id) => ({ id, capabilities: ['chat'], contextLength: null, sizeBytes: 5 })),
      nodes: [
        { nodeId: 'l', name: 'l', states: 'cw-' },
        { nodeId: 'r', name: 'r', states: '-uf' },
      ],
    });
  });

  it('changes with what is on disk, not with what is loaded of it', () => {
    expect(catalogOf(record({}, [model('a', 'cold')]))).toBe(catalogOf(record({}, [model('a', 'warm')])));
    expect(catalogOf(record({}, [model('a', 'cold')]))).not.toBe(catalogOf(record({}, [model('a', 'cold', 6)])));
    expect(catalogOf(record({}, [model('a', 'cold')]))).not.toBe(catalogOf(record()));
  });
});
