import type { NodeLink, Nodes } from '../../../coordinator/src/dispatch/nodes.ts';
import type { Liveness } from '../../../coordinator/src/nodes/liveness.ts';
import type { NodeRecord } from '../../../coordinator/src/nodes/registry.ts';
import type { NodeSnapshot } from '../../../shared/src/node.ts';
import type { RedisConnection } from '../store/redis.ts';
import type { ProcessClock } from '../timeline.ts';
import type { SimulatedSession } from './session.ts';

/** As nodes/registry.ts. */
const RECORD_TTL_MS = 15_000;
const RENEW_MS = 5_000;
const BATCH_MS = 100;
const CHANNEL = 'nodes';

interface LocalNode {
  readonly session: SimulatedSession;
  snapshot: NodeSnapshot | null;
  liveness: Liveness;
}

/** What nodes/registry.ts does, on virtual time and simulated Redis: records with an epoch and an end, the newest connection wins. */
export class SimulatedRegistry implements Nodes {
  readonly #replicaId: string;
  readonly #redis: RedisConnection;
  readonly #clock: ProcessClock;
  readonly #remoteLink: (record: NodeRecord) => NodeLink;
  readonly #local = new Map<string, LocalNode>();
  readonly #remote = new Map<string, { readonly record: NodeRecord; readonly heardAtMs: number }>();
  readonly #gone = new Map<string, NodeRecord>();
  readonly #dirty = new Set<string>();
  readonly #listeners = new Set<(nodeId?: string) => void>();
  readonly #returnListeners = new Set<(nodeId: string, instanceId: string) => void>();
  #isFlushDue = false;

  constructor(options: {
    replicaId: string;
    redis: RedisConnection;
    clock: ProcessClock;
    remoteLink: (record: NodeRecord) => NodeLink;
  }) {
    this.#replicaId = options.replicaId;
    this.#redis = options.redis;
    this.#clock = options.clock;
    this.#remoteLink = options.remoteLink;
    this.#redis.subscribe(CHANNEL, (message) => this.#hear(message as NodeRecord));
    this.#redis.onUp(() => this.readAll());
    this.readAll();
    this.#renewLater();
  }

  onChange(listener: (nodeId?: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onReturn(listener: (nodeId: string, instanceId: string) => void): () => void {
    this.#returnListeners.add(listener);
    return () => this.#returnListeners.delete(listener);
  }

  list(): NodeRecord[] {
    const here = [...this.#local.keys()].flatMap((nodeId) => this.#recordOf(nodeId) ?? []);
    return [...here, ...[...this.#remote.values()].map(({ record }) => record), ...this.#gone.values()];
  }

  snapshot(nodeId: string): NodeSnapshot | null {
    const node = this.#local.get(nodeId);
    return node ? node.snapshot : ((this.#remote.get(nodeId)?.record ?? this.#gone.get(nodeId))?.snapshot ?? null);
  }

  session(nodeId: string): SimulatedSession | undefined {
    return this.#local.get(nodeId)?.session;
  }

  sessions(): SimulatedSession[] {
    return [...this.#local.values()].map(({ session }) => session);
  }

  link(nodeId: string): NodeLink | undefined {
    const remote = this.#remote.get(nodeId);
    return this.session(nodeId) ?? (remote && this.#remoteLink(remote.record));
  }

  add(session: SimulatedSession): void {
    const older = this.#local.get(session.nodeId)?.session;
    this.#local.set(session.nodeId, { session, snapshot: null, liveness: 'alive' });
    this.#remote.delete(session.nodeId);
    older?.close();
    this.#returned(session.nodeId, session.instanceId);
  }

  observe(session: SimulatedSession, snapshot: NodeSnapshot): void {
    const node = this.#nodeOf(session);
    if (!node || (node.snapshot && node.snapshot.sequence > snapshot.sequence)) return;
    node.snapshot = snapshot;
    this.#gone.delete(session.nodeId);
    this.#changed(session.nodeId);
  }

  setLiveness(session: SimulatedSession, liveness: Liveness): void {
    const node = this.#nodeOf(session);
    if (!node) return;
    node.liveness = liveness;
    this.#changed(session.nodeId);
  }

  remove(session: SimulatedSession): void {
    if (!this.#nodeOf(session)) return;
    const record = this.#recordOf(session.nodeId);
    this.#local.delete(session.nodeId);
    this.#dirty.delete(session.nodeId);
    if (record) {
      const dead = { ...record, liveness: 'dead' } as const;
      this.#gone.set(record.nodeId, dead);
      this.#tellGone(dead);
    }
    this.#notify(session.nodeId);
  }

  readAll(): void {
    this.#redis
      .ask(({ records }, nowMs) => [...records.values()].flatMap(({ record, untilMs }) => (untilMs > nowMs ? [record] : [])))
      .then(
        (records) => {
          for (const record of records) this.#hear(record as NodeRecord);
        },
        () => {},
      );
  }

  publishAll(): void {
    for (const nodeId of this.#local.keys()) this.#dirty.add(nodeId);
    this.#flush();
  }

  #hear(record: NodeRecord): void {
    if (record.replicaId === this.#replicaId) return;
    const ours = this.#local.get(record.nodeId);
    if (ours && ours.session.epoch >= record.epoch) return;
    ours?.session.close();
    const known = this.#remote.get(record.nodeId)?.record;
    if (known && known.epoch > record.epoch) return;
    const gone = this.#gone.get(record.nodeId);
    if (record.liveness !== 'dead' && gone && !isNewer(record, gone)) return;
    if (record.liveness === 'dead') {
      this.#remote.delete(record.nodeId);
      this.#gone.set(record.nodeId, record);
    } else {
      this.#gone.delete(record.nodeId);
      this.#remote.set(record.nodeId, { record, heardAtMs: this.#clock.nowMs() });
      if (known?.epoch !== record.epoch) this.#returned(record.nodeId, record.instanceId);
    }
    this.#notify(record.nodeId);
  }

  #recordOf(nodeId: string): NodeRecord | null {
    const node = this.#local.get(nodeId);
    if (!node?.snapshot) return null;
    const { session, liveness, snapshot } = node;
    return { nodeId, epoch: session.epoch, instanceId: session.instanceId, replicaId: this.#replicaId, liveness, snapshot };
  }

  #nodeOf(session: SimulatedSession): LocalNode | undefined {
    const node = this.#local.get(session.nodeId);
    return node?.session === session ? node : undefined;
  }

  #returned(nodeId: string, instanceId: string): void {
    for (const listener of this.#returnListeners) listener(nodeId, instanceId);
  }

  #changed(nodeId: string): void {
    this.#dirty.add(nodeId);
    if (!this.#isFlushDue) {
      this.#isFlushDue = true;
      this.#clock.after(BATCH_MS, () => {
        this.#isFlushDue = false;
        this.#flush();
      });
    }
    this.#notify(nodeId);
  }

  #notify(nodeId?: string): void {
    for (const listener of this.#listeners) listener(nodeId);
  }

  #renewLater(): void {
    const dueAtMs = this.#clock.nowMs() + RENEW_MS;
    this.#clock.after(RENEW_MS, () => {
      this.publishAll();
      const nowMs = this.#clock.nowMs();
      const isDeaf = !this.#redis.isUp || nowMs - dueAtMs > RENEW_MS;
      if (isDeaf) for (const [nodeId, { record }] of this.#remote) this.#remote.set(nodeId, { record, heardAtMs: nowMs });
      for (const { record, heardAtMs } of [...this.#remote.values()]) {
        if (this.#clock.nowMs() - heardAtMs <= RECORD_TTL_MS) continue;
        this.#remote.delete(record.nodeId);
        this.#gone.set(record.nodeId, { ...record, liveness: 'dead' });
        this.#notify();
      }
      this.#renewLater();
    });
  }

  #flush(): void {
    if (!this.#redis.isUp) return;
    for (const nodeId of this.#dirty) {
      const record = this.#recordOf(nodeId);
      if (record) this.#write(record);
    }
    this.#dirty.clear();
  }

  #write(record: NodeRecord): void {
    const { nodeId, epoch } = record;
    this.#redis
      .ask(({ epochs, records }, nowMs) => {
        const newest = epochs.get(nodeId);
        if (newest !== undefined && newest > epoch) return false;
        epochs.set(nodeId, epoch);
        records.set(nodeId, { record, epoch, untilMs: nowMs + RECORD_TTL_MS });
        return true;
      })
      .then(
        (isWritten) => {
          if (isWritten) this.#redis.publish(CHANNEL, record);
          else if (this.#local.get(nodeId)?.session.epoch === epoch) this.#local.get(nodeId)?.session.close();
        },
        () => {},
      );
  }

  #tellGone(record: NodeRecord): void {
    this.#redis
      .ask(({ records }) => {
        if (records.get(record.nodeId)?.epoch === record.epoch) records.delete(record.nodeId);
      })
      .then(
        () => this.#redis.publish(CHANNEL, record),
        () => {},
      );
  }
}

const isNewer = (record: NodeRecord, than: NodeRecord): boolean =>
  record.epoch === than.epoch ? record.snapshot.sequence > than.snapshot.sequence : record.epoch > than.epoch;
