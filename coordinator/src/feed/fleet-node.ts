import type { NodeEntry } from '@lai/shared/admin-api';
import type { FleetNode, ModelMatrix } from '@lai/shared/fleet-api';
import { withoutLatest } from '@lai/shared/model-name';
import type { LoadedModel, ModelState } from '@lai/shared/node';
import type { NodeRecord } from '../nodes/registry.ts';

/** A node as people see it: what is stored of it and what it has told, side by side. Pure. */
export const fleetNode = (entry: NodeEntry, record: NodeRecord | null, awaySinceMs: number | null): FleetNode => {
  if (!record) return { entry, liveness: 'offline', epoch: null, lastSeenMs: entry.lastConnectedAtMs, report: null };
  const { name: _, sequence: __, takenAtMs: ___, models, ...told } = record.snapshot;
  const here = models.filter(({ state }) => state !== 'cold');
  return {
    entry,
    liveness: record.liveness === 'dead' ? 'offline' : record.liveness,
    epoch: record.epoch,
    lastSeenMs: record.liveness === 'dead' ? (awaySinceMs ?? entry.lastConnectedAtMs) : null,
    report: { ...told, models: here, coldCount: models.length - here.length },
  };
};

/** Everything of a node but its sensors' readings, which change all the time. */
export const withoutReadings = (node: FleetNode): unknown =>
  node.report ? { ...node, report: { ...node.report, gpus: node.report.gpus.length, memory: null } } : node;

/** What is on a node's disk, for telling whether that has changed. */
export const catalogOf = ({ snapshot }: NodeRecord): string =>
  snapshot.models.map(({ id, sizeBytes, capabilities }) => `${id} ${sizeBytes} ${capabilities.join()}`).join('\n');

const LETTER: Record<ModelState, string> = {
  cold: 'c',
  loading: 'l',
  warm: 'w',
  draining: 'd',
  unloading: 'u',
  failed: 'f',
};

/** Every model that some node has, by name, and which node has it how. */
export const modelMatrix = (records: readonly NodeRecord[], nameOf: (record: NodeRecord) => string): ModelMatrix => {
  const models = new Map<string, LoadedModel>();
  for (const { snapshot } of records) {
    for (const model of snapshot.models) {
      const id = withoutLatest(model.id);
      if (!models.has(id)) models.set(id, model);
    }
  }
  const ids = [...models.keys()].sort((a, b) => a.localeCompare(b, 'en'));
  return {
    models: ids.flatMap((id) => {
      const model = models.get(id);
      return model
        ? [{ id, capabilities: model.capabilities, contextLength: model.contextLength, sizeBytes: model.sizeBytes }]
        : [];
    }),
    nodes: records
      .toSorted((a, b) => nameOf(a).localeCompare(nameOf(b), 'en', { numeric: true }))
      .map((record) => {
        const states = new Map(record.snapshot.models.map(({ id, state }) => [withoutLatest(id), LETTER[state]]));
        return { nodeId: record.nodeId, name: nameOf(record), states: ids.map((id) => states.get(id) ?? '-').join('') };
      }),
  };
};
