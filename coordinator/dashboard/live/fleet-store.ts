import type { CommandView, FeedEvent, FeedEventName, FleetCounts, FleetNode } from '@lai/shared/fleet-api';
import { useCallback, useSyncExternalStore } from 'react';

/** How well what is shown agrees with the coordinator. `away`: it is as old as `sinceMs`. */
export type Connection =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live' }
  | { readonly kind: 'away'; readonly sinceMs: number };

const nodes = new Map<string, FleetNode>();
const commands = new Map<string, CommandView>();
const rowListeners = new Map<string, Set<() => void>>();
type Topic = 'connection' | 'shape' | 'summary' | 'commands';
const topics: Record<Topic, Set<() => void>> = {
  ...{ connection: new Set(), shape: new Set(), summary: new Set(), commands: new Set() },
};

let connection: Connection = { kind: 'connecting' };
let version: string | null = null;
let isNewVersion = false;
let order: readonly string[] | null = null;
let commandList: readonly CommandView[] = [];
let summary: { readonly nodes: readonly FleetNode[]; readonly counts: FleetCounts } | null = null;
let counts: FleetCounts = { running: 0, waiting: 0, redis: 'up' };

const dirtyRows = new Set<string>();
const dirtyTopics = new Set<Topic>();
let frame = 0;

/** Everything that came since the last frame is shown in one. A hidden page has no frames. */
const flushSoon = (): void => {
  if (frame !== 0) return;
  frame = document.hidden ? window.setTimeout(flush, 50) : requestAnimationFrame(flush);
};

const flush = (): void => {
  frame = 0;
  if (dirtyTopics.has('commands')) commandList = [...commands.values()].sort((a, b) => b.startedAtMs - a.startedAtMs);
  if (dirtyTopics.has('summary')) summary = { nodes: (order ?? []).flatMap((id) => nodes.get(id) ?? []), counts };
  const due = [...[...dirtyRows].map((id) => rowListeners.get(id)), ...[...dirtyTopics].map((topic) => topics[topic])];
  dirtyRows.clear();
  dirtyTopics.clear();
  for (const listeners of due) for (const listener of listeners ?? []) listener();
};

const touch = (...changed: Topic[]): void => {
  for (const topic of changed) dirtyTopics.add(topic);
  flushSoon();
};

const sortNodes = (): void => {
  const byName = [...nodes.values()].sort((a, b) => a.entry.name.localeCompare(b.entry.name, undefined, { numeric: true }));
  order = byName.map(({ entry }) => entry.id);
  touch('shape', 'summary');
};

const putNode = (node: FleetNode): void => {
  const before = nodes.get(node.entry.id);
  nodes.set(node.entry.id, node);
  dirtyRows.add(node.entry.id);
  if (!before || before.entry.name !== node.entry.name) sortNodes();
  else touch('summary');
};

const takers: { [Name in FeedEventName]?: (data: FeedEvent<Name>) => void } = {
  hello: (hello) => {
    isNewVersion = version !== null && version !== hello.version;
    version = hello.version;
    if (isNewVersion) touch('connection');
  },
  fleet: (level) => {
    for (const id of nodes.keys()) dirtyRows.add(id);
    nodes.clear();
    commands.clear();
    for (const node of level.nodes) putNode(node);
    for (const command of level.commands) commands.set(command.commandId, command);
    counts = level.counts;
    sortNodes();
    touch('commands');
    setConnection({ kind: 'live' });
  },
  node: putNode,
  'node.gone': ({ nodeId }) => {
    nodes.delete(nodeId);
    dirtyRows.add(nodeId);
    sortNodes();
  },
  counts: (next) => {
    counts = next;
    touch('summary');
  },
  command: (command) => {
    commands.set(command.commandId, command);
    touch('commands');
  },
};

/** Single writer of what is known of the fleet: the feed calls it with each event. */
export const takeEvent = <Name extends FeedEventName>(name: Name, data: FeedEvent<Name>): void => {
  (takers[name] as ((data: FeedEvent<Name>) => void) | undefined)?.(data);
};

export const setConnection = (next: Connection): void => {
  if (next.kind === connection.kind) return;
  connection = next;
  touch('connection');
};

/** Whoever has signed out must not leave anything to read. */
export const forgetFleet = (): void => {
  nodes.clear();
  commands.clear();
  order = null;
  summary = null;
  connection = { kind: 'connecting' };
  touch('connection', 'shape', 'commands');
};

export const currentLevel = (): Pick<FeedEvent<'fleet'>, 'nodes' | 'commands' | 'counts'> | null =>
  order && { nodes: [...nodes.values()], commands: [...commands.values()], counts };

const subscribeTo =
  (topic: Topic) =>
  (listener: () => void): (() => void) => {
    topics[topic].add(listener);
    return () => topics[topic].delete(listener);
  };
const toConnection = subscribeTo('connection');
const toShape = subscribeTo('shape');
const toSummary = subscribeTo('summary');
const toCommands = subscribeTo('commands');

export const useConnection = (): Connection => useSyncExternalStore(toConnection, () => connection);
export const useIsNewVersion = (): boolean => useSyncExternalStore(toConnection, () => isNewVersion);
/** Ids by name; null until the first level is here. */
export const useNodeIds = (): readonly string[] | null => useSyncExternalStore(toShape, () => order);
/** All nodes and the counts, for what adds them up; null until the first level is here. */
export const useSummary = () => useSyncExternalStore(toSummary, () => summary);
/** Newest first. */
export const useCommands = (): readonly CommandView[] => useSyncExternalStore(toCommands, () => commandList);

/** One node; whoever shows it is drawn again only when that node changes. */
export const useNode = (id: string): FleetNode | undefined =>
  useSyncExternalStore(
    useCallback(
      (listener: () => void) => {
        const listeners = rowListeners.get(id) ?? new Set<() => void>();
        rowListeners.set(id, listeners.add(listener));
        return () => {
          listeners.delete(listener);
          if (listeners.size === 0) rowListeners.delete(id);
        };
      },
      [id],
    ),
    () => nodes.get(id),
  );
