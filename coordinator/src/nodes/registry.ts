import type { NodeSnapshot } from '@lai/shared/node';
import type { Logger } from 'pino';
import { isUp, type LaiRedis } from '../redis/client.ts';
import { keys } from '../redis/keys.ts';
import type { Liveness } from './liveness.ts';
import type { NodeSession } from './node-session.ts';

/** A record outlives its owner by this much; renewed three times as often. */
const RECORD_TTL_MS = 15_000;
const RENEW_MS = 5_000;
/** Snapshots of many nodes are written together: unbatched writes cost 1.7 times the CPU (measured at 1,000 nodes). */
const BATCH_MS = 100;

export interface NodeRecord {
  readonly nodeId: string;
  readonly epoch: number;
  readonly liveness: Liveness;
  readonly snapshot: NodeSnapshot;
}

/** How long a node that went away is still spoken of: its models exist, they are only not there. */
const REMEMBER_MS = 24 * 60 * 60_000;

interface LocalNode {
  readonly session: NodeSession;
  snapshot: NodeSnapshot | null;
  liveness: Liveness;
}

/**
 * What every node can do right now. Single writer of the records of the nodes whose sockets this process holds; mirrors them into
 * Redis with a TTL and the connection's epoch, so that a record of a dead owner goes away and a late one is refused.
 */
export class Registry {
  readonly #redis: LaiRedis;
  readonly #log: Logger;
  readonly #local = new Map<string, LocalNode>();
  /** Last records of nodes that are not connected. */
  readonly #gone = new Map<string, { readonly record: NodeRecord; readonly sinceMs: number }>();
  readonly #dirty = new Set<string>();
  readonly #listeners = new Set<() => void>();
  #batchTimer: NodeJS.Timeout | undefined;
  readonly #renewTimer: NodeJS.Timeout;

  constructor(options: { redis: LaiRedis; log: Logger }) {
    this.#redis = options.redis;
    this.#log = options.log;
    this.#renewTimer = setInterval(() => this.publishAll(), RENEW_MS);
  }

  /** Called after every change that may matter to a placement. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Nodes that have said what they can do, those that are away (`dead`) included. */
  list(): NodeRecord[] {
    const here = [...this.#local].flatMap(([nodeId, { session, snapshot, liveness }]) =>
      snapshot ? [{ nodeId, epoch: session.epoch, liveness, snapshot }] : [],
    );
    return [...here, ...[...this.#gone.values()].map(({ record }) => record)];
  }

  session(nodeId: string): NodeSession | undefined {
    return this.#local.get(nodeId)?.session;
  }

  /** The newest connection of a node wins; an older one is told and closed. */
  add(session: NodeSession): void {
    const older = this.#local.get(session.nodeId)?.session;
    this.#local.set(session.nodeId, { session, snapshot: null, liveness: 'alive' });
    // Its record stays until the first snapshot: the node is back, but what it can do is not known again yet.
    older?.close({
      type: 'node.reject',
      reason: 'superseded',
      message: 'a newer connection of this node replaced this one',
      isFinal: false,
    });
  }

  observe(session: NodeSession, snapshot: NodeSnapshot): void {
    const node = this.#nodeOf(session);
    if (!node || (node.snapshot && node.snapshot.sequence > snapshot.sequence)) return;
    node.snapshot = snapshot;
    this.#gone.delete(session.nodeId);
    this.#changed(session.nodeId);
  }

  setLiveness(session: NodeSession, liveness: Liveness): void {
    const node = this.#nodeOf(session);
    if (!node) return;
    node.liveness = liveness;
    this.#changed(session.nodeId);
  }

  remove(session: NodeSession): void {
    const node = this.#nodeOf(session);
    if (!node) return;
    this.#local.delete(session.nodeId);
    this.#remember(session, node.snapshot);
    this.#dirty.delete(session.nodeId);
    if (isUp(this.#redis)) void this.#redis.del(keys.node(session.nodeId)).catch(() => {});
    this.#notify();
  }

  /** Tells Redis everything again; it may have forgotten. */
  publishAll(): void {
    for (const nodeId of this.#local.keys()) this.#dirty.add(nodeId);
    this.#flush();
  }

  close(): void {
    clearInterval(this.#renewTimer);
    clearTimeout(this.#batchTimer);
    for (const { session } of this.#local.values()) session.close({ type: 'node.goaway', spreadMs: 2_000 });
  }

  #remember({ nodeId, epoch }: NodeSession, snapshot: NodeSnapshot | null): void {
    const sinceMs = Date.now();
    if (snapshot) this.#gone.set(nodeId, { record: { nodeId, epoch, liveness: 'dead', snapshot }, sinceMs });
    for (const [id, gone] of this.#gone) if (sinceMs - gone.sinceMs > REMEMBER_MS) this.#gone.delete(id);
  }

  #nodeOf(session: NodeSession): LocalNode | undefined {
    const node = this.#local.get(session.nodeId);
    return node?.session === session ? node : undefined;
  }

  #changed(nodeId: string): void {
    this.#dirty.add(nodeId);
    this.#batchTimer ??= setTimeout(() => {
      this.#batchTimer = undefined;
      this.#flush();
    }, BATCH_MS);
    this.#notify();
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }

  #flush(): void {
    if (!isUp(this.#redis) || this.#dirty.size === 0) return;
    for (const record of this.list().filter(({ nodeId }) => this.#dirty.has(nodeId) && this.#local.has(nodeId)))
      this.#write(record);
    this.#dirty.clear();
  }

  #write(record: NodeRecord): void {
    const { nodeId, epoch } = record;
    this.#redis.publishNode(keys.node(nodeId), keys.nodeEpoch(nodeId), String(epoch), JSON.stringify(record), RECORD_TTL_MS).then(
      (isWritten) => {
        if (!isWritten) this.#log.warn({ nodeId, epoch }, 'a newer connection of this node exists elsewhere; closing ours');
        if (!isWritten) this.#local.get(nodeId)?.session.close();
      },
      (error: unknown) => this.#log.debug({ err: error, nodeId }, 'node record not written'),
    );
    this.#redis.sadd(keys.nodes, nodeId).catch(() => {});
  }
}
