import { NodeSnapshot } from '@lai/shared/node';
import type { Logger } from 'pino';
import { z } from 'zod';
import { isUp, type LaiRedis } from '../redis/client.ts';
import { keys } from '../redis/keys.ts';
import type { Liveness } from './liveness.ts';
import type { NodeSession } from './node-session.ts';

/** A record outlives its owner by this much; renewed three times as often. */
const RECORD_TTL_MS = 15_000;
const RENEW_MS = 5_000;
/** Snapshots of many nodes are written together: unbatched writes cost 1.7 times the CPU (measured at 1,000 nodes). */
const BATCH_MS = 100;
/** How long a node that went away is still spoken of: its models exist, they are only not there. */
const REMEMBER_MS = 24 * 60 * 60_000;

export const NodeRecord = z.object({
  nodeId: z.string(),
  epoch: z.number(),
  /** The agent process behind the connection. */
  instanceId: z.string(),
  /** The replica that holds the node's socket. */
  replicaId: z.string(),
  liveness: z.enum(['alive', 'suspect', 'dead']),
  snapshot: NodeSnapshot,
});
export type NodeRecord = z.infer<typeof NodeRecord>;

interface LocalNode {
  readonly session: NodeSession;
  snapshot: NodeSnapshot | null;
  liveness: Liveness;
}

/** What the registry needs of a way to a node on another replica; what it is used for is the asker's business. */
export type RemoteLinks<Link> = (record: NodeRecord) => Link;

/**
 * What every node can do right now. Single writer of the records of the nodes whose sockets this process holds; mirrors them into
 * Redis with a TTL and the connection's epoch, so that a record of a dead owner goes away and a late one is refused; hears of the others'
 * nodes from there.
 */
export class Registry<Link = unknown> {
  readonly #replicaId: string;
  readonly #redis: LaiRedis;
  readonly #remoteLink: RemoteLinks<Link> | null;
  readonly #log: Logger;
  readonly #local = new Map<string, LocalNode>();
  /** Nodes whose sockets other replicas hold. */
  readonly #remote = new Map<string, { readonly record: NodeRecord; readonly heardAtMs: number }>();
  /** Last records of nodes that are not connected. */
  readonly #gone = new Map<string, { readonly record: NodeRecord; readonly sinceMs: number; readonly atMs: number }>();
  readonly #dirty = new Set<string>();
  readonly #listeners = new Set<(nodeId?: string) => void>();
  readonly #returnListeners = new Set<(nodeId: string, instanceId: string) => void>();
  #batchTimer: NodeJS.Timeout | undefined;
  readonly #renewTimer: NodeJS.Timeout;
  #renewedAtMs = performance.now();
  #isDraining = false;

  constructor(options: { replicaId: string; redis: LaiRedis; remoteLink?: RemoteLinks<Link>; log: Logger }) {
    this.#replicaId = options.replicaId;
    this.#redis = options.redis;
    this.#remoteLink = options.remoteLink ?? null;
    this.#log = options.log;
    this.#renewTimer = setInterval(() => this.#renew(), RENEW_MS);
  }

  /** Called after every change that may matter to a placement, with the node that it is about where that is one. */
  onChange(listener: (nodeId?: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Called when a node has connected, here or elsewhere, perhaps again. */
  onReturn(listener: (nodeId: string, instanceId: string) => void): () => void {
    this.#returnListeners.add(listener);
    return () => this.#returnListeners.delete(listener);
  }

  /** Nodes that have said what they can do, those that are away (`dead`) included. */
  list(): NodeRecord[] {
    const here = [...this.#local.keys()].flatMap((nodeId) => this.#recordOf(nodeId) ?? []);
    return [...here, ...[...this.#remote.values(), ...this.#gone.values()].map(({ record }) => record)];
  }

  snapshot(nodeId: string): NodeSnapshot | null {
    const node = this.#local.get(nodeId);
    return node ? node.snapshot : ((this.#remote.get(nodeId) ?? this.#gone.get(nodeId))?.record.snapshot ?? null);
  }

  /** What a node has told last, connected or not. */
  record(nodeId: string): NodeRecord | null {
    return this.#recordOf(nodeId) ?? (this.#remote.get(nodeId) ?? this.#gone.get(nodeId))?.record ?? null;
  }

  /** Epoch ms; null while it is connected, or when it has not been since this process started. */
  awaySinceMs(nodeId: string): number | null {
    return this.#gone.get(nodeId)?.atMs ?? null;
  }

  /** The socket of a node that is connected here. */
  session(nodeId: string): NodeSession | undefined {
    return this.#local.get(nodeId)?.session;
  }

  /** The way to a node that is connected anywhere. */
  link(nodeId: string): NodeSession | Link | undefined {
    const session = this.session(nodeId);
    if (session) return session;
    const remote = this.#remote.get(nodeId);
    return remote && this.#remoteLink ? this.#remoteLink(remote.record) : undefined;
  }

  /** The newest connection of a node wins; an older one is told and closed. */
  add(session: NodeSession): void {
    const older = this.#local.get(session.nodeId)?.session;
    this.#local.set(session.nodeId, { session, snapshot: null, liveness: 'alive' });
    this.#remote.delete(session.nodeId);
    // Its record stays until the first snapshot: the node is back, but what it can do is not known again yet.
    older?.close({
      type: 'node.reject',
      reason: 'superseded',
      message: 'a newer connection of this node replaced this one',
      isFinal: false,
    });
    this.#returned(session.nodeId, session.instanceId);
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
    if (!this.#nodeOf(session)) return;
    const record = this.#recordOf(session.nodeId);
    this.#local.delete(session.nodeId);
    this.#dirty.delete(session.nodeId);
    if (record) {
      this.#bury({ ...record, liveness: 'dead' });
      if (isUp(this.#redis)) this.#tellGone({ ...record, liveness: 'dead' });
    }
    this.#notify(session.nodeId);
  }

  /** What another replica says of a node of its own. */
  hear(json: string): void {
    const parsed = NodeRecord.safeParse(parseJson(json));
    if (!parsed.success || parsed.data.replicaId === this.#replicaId) return;
    const record = parsed.data;
    const ours = this.#local.get(record.nodeId);
    if (ours && ours.session.epoch >= record.epoch) return;
    // It has connected there since; our socket is a dead one that we have not noticed yet.
    ours?.session.close();
    const known = this.#remote.get(record.nodeId)?.record;
    if (known && known.epoch > record.epoch) return;
    const gone = this.#gone.get(record.nodeId)?.record;
    // Late, or of a Redis that came back with an older memory: the node went away after that.
    if (record.liveness !== 'dead' && gone && !isNewer(record, gone)) return;
    if (record.liveness === 'dead') {
      this.#remote.delete(record.nodeId);
      this.#bury(record);
    } else {
      this.#gone.delete(record.nodeId);
      this.#remote.set(record.nodeId, { record, heardAtMs: performance.now() });
      if (known?.epoch !== record.epoch) this.#returned(record.nodeId, record.instanceId);
    }
    this.#notify(record.nodeId);
  }

  /** A replica is no more: its nodes are not connected to anybody, until they say otherwise elsewhere. */
  replicaGone(replicaId: string): void {
    const gone = [...this.#remote.values()].filter(({ record }) => record.replicaId === replicaId);
    for (const { record } of gone) {
      this.#remote.delete(record.nodeId);
      this.#bury({ ...record, liveness: 'dead' });
    }
    if (gone.length > 0) this.#notify();
  }

  /** Reads what the other replicas have written; for the start, and for when messages may have been missed. */
  async readAll(): Promise<void> {
    if (!isUp(this.#redis)) return;
    try {
      const nodeIds = await this.#redis.smembers(keys.nodes);
      const records = await Promise.all(nodeIds.map((nodeId) => this.#redis.get(keys.node(nodeId))));
      for (const json of records) if (json !== null) this.hear(json);
    } catch (error) {
      this.#log.debug({ err: error }, 'records of other replicas not read; they are told again within seconds');
    }
  }

  /** Tells Redis everything again; it may have forgotten. */
  publishAll(): void {
    for (const nodeId of this.#local.keys()) this.#dirty.add(nodeId);
    this.#flush();
  }

  /** Before this replica stops: others are to give our nodes nothing new, and what they have given runs to its end. */
  drain(): void {
    this.#isDraining = true;
    this.publishAll();
  }

  /** Everybody is asked to connect elsewhere, or here again, spread over a little time. */
  close(): void {
    clearInterval(this.#renewTimer);
    clearTimeout(this.#batchTimer);
    for (const { session } of this.#local.values()) session.close({ type: 'node.goaway', spreadMs: 2_000 });
  }

  #recordOf(nodeId: string): NodeRecord | null {
    const node = this.#local.get(nodeId);
    if (!node?.snapshot) return null;
    const { session, liveness, snapshot } = node;
    return { nodeId, epoch: session.epoch, instanceId: session.instanceId, replicaId: this.#replicaId, liveness, snapshot };
  }

  #bury(record: NodeRecord): void {
    const sinceMs = performance.now();
    this.#gone.set(record.nodeId, { record, sinceMs, atMs: Date.now() });
    for (const [id, gone] of this.#gone) if (sinceMs - gone.sinceMs > REMEMBER_MS) this.#gone.delete(id);
  }

  #nodeOf(session: NodeSession): LocalNode | undefined {
    const node = this.#local.get(session.nodeId);
    return node?.session === session ? node : undefined;
  }

  #returned(nodeId: string, instanceId: string): void {
    for (const listener of this.#returnListeners) listener(nodeId, instanceId);
  }

  #changed(nodeId: string): void {
    this.#dirty.add(nodeId);
    this.#batchTimer ??= setTimeout(() => {
      this.#batchTimer = undefined;
      this.#flush();
    }, BATCH_MS);
    this.#notify(nodeId);
  }

  #notify(nodeId?: string): void {
    for (const listener of this.#listeners) listener(nodeId);
  }

  #renew(): void {
    this.publishAll();
    const now = performance.now();
    // Who could not hear, because Redis was away or we were stopped, has no reason to call anybody silent: once more the whole time.
    const isDeaf = !isUp(this.#redis) || now - this.#renewedAtMs > 2 * RENEW_MS;
    this.#renewedAtMs = now;
    if (isDeaf) for (const [nodeId, { record }] of this.#remote) this.#remote.set(nodeId, { record, heardAtMs: now });
    const silent = [...this.#remote.values()].filter(({ heardAtMs }) => now - heardAtMs > RECORD_TTL_MS);
    for (const { record } of silent) {
      this.#remote.delete(record.nodeId);
      this.#bury({ ...record, liveness: 'dead' });
    }
    if (silent.length > 0) this.#notify();
  }

  #flush(): void {
    if (!isUp(this.#redis) || this.#dirty.size === 0) return;
    for (const nodeId of this.#dirty) {
      const record = this.#recordOf(nodeId);
      if (record) this.#write(record);
    }
    this.#dirty.clear();
  }

  #write(record: NodeRecord): void {
    const { nodeId, epoch } = record;
    const json = JSON.stringify(this.#isDraining && record.liveness === 'alive' ? { ...record, liveness: 'suspect' } : record);
    this.#redis.publishNode(keys.node(nodeId), keys.nodeEpoch(nodeId), String(epoch), json, RECORD_TTL_MS).then(
      (isWritten) => {
        if (isWritten) {
          this.#redis.publish(keys.nodeChannel, json).catch(() => {});
          return;
        }
        this.#log.warn({ nodeId, epoch }, 'a newer connection of this node exists elsewhere; closing ours');
        this.#local.get(nodeId)?.session.close();
      },
      (error: unknown) => this.#log.debug({ err: error, nodeId }, 'node record not written'),
    );
    this.#redis.sadd(keys.nodes, nodeId).catch(() => {});
  }

  /** The record goes with its owner, unless the node has connected elsewhere meanwhile: then it is the other's. */
  #tellGone(record: NodeRecord): void {
    const { nodeId, epoch } = record;
    const tell = async () => {
      const json = await this.#redis.get(keys.node(nodeId));
      const current = json === null ? null : NodeRecord.safeParse(parseJson(json)).data;
      if (current && current.epoch === epoch) await this.#redis.del(keys.node(nodeId));
      await this.#redis.publish(keys.nodeChannel, JSON.stringify(record));
    };
    // Redis is away, perhaps since the first of these: the record ends by itself.
    tell().catch((error: unknown) => this.#log.debug({ err: error, nodeId }, 'the loss of a node was not told'));
  }
}

const isNewer = (record: NodeRecord, than: NodeRecord): boolean =>
  record.epoch === than.epoch ? record.snapshot.sequence > than.snapshot.sequence : record.epoch > than.epoch;

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
};
