import type { NodeRecord } from '../../nodes/registry.ts';

/** Where a new model belongs: a node that answers and takes work, with the most room on its disk; one that does not say comes last. */
export const homeFor = (nodes: readonly NodeRecord[]): NodeRecord | undefined =>
  nodes
    .filter(({ liveness, snapshot }) => liveness === 'alive' && snapshot.holds.length === 0)
    .toSorted((a, b) => roomOf(b) - roomOf(a) || a.nodeId.localeCompare(b.nodeId))[0];

const roomOf = ({ snapshot }: NodeRecord): number => snapshot.modelDiskFreeBytes ?? -1;
