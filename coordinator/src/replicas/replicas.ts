import type { Logger } from 'pino';
import { isUp, type LaiRedis } from '../redis/client.ts';
import { keys } from '../redis/keys.ts';
import type { Subscriber } from '../redis/subscriber.ts';
import { decodeEnvelope, encodeEnvelope, encodeItem, type Item } from './envelope.ts';

const HEARTBEAT_MS = 1_000;
/** A replica that has not been heard of for this long is gone, and its work with it. */
const GONE_MS = 4_000;
/** Items for one replica wait this long for company; the first of a quiet moment does not wait. */
const BATCH_MS = 5;
const BATCH_BYTES = 256 * 1024;

export interface ReplicaEvents {
  item(sender: string, item: Item): void;
  gone(replicaId: string): void;
}

interface Outbox {
  items: Buffer[];
  bytes: number;
  timer: NodeJS.Timeout | null;
}

/**
 * The other coordinators on the same Redis: who is there, and messages to them. Delivery is as good as pub/sub is: what is said while
 * Redis is away is lost, so streams number their pieces and everything else is said again at every beat. Single writer of its outboxes.
 */
export class Replicas {
  readonly id: string;
  readonly #redis: LaiRedis;
  readonly #subscriber: Subscriber;
  readonly #log: Logger;
  readonly #outboxes = new Map<string, Outbox>();
  #others: ReadonlySet<string> = new Set();
  readonly #beatListeners: (() => void)[] = [];
  #events: ReplicaEvents | null = null;
  #timer: NodeJS.Timeout | undefined;
  #lookedAtMs = performance.now();
  #judgesFromMs = 0;

  constructor(options: { id: string; redis: LaiRedis; subscriber: Subscriber; log: Logger }) {
    this.id = options.id;
    this.#redis = options.redis;
    this.#subscriber = options.subscriber;
    this.#log = options.log;
  }

  async start(events: ReplicaEvents): Promise<void> {
    this.#events = events;
    await this.#subscriber.listen(keys.replicaChannel(this.id), (bytes) => this.#receive(bytes));
    await this.#look();
    this.#timer = setInterval(() => void this.#look(), HEARTBEAT_MS);
  }

  /** Called once a second while Redis is there. */
  onBeat(listener: () => void): void {
    this.#beatListeners.push(listener);
  }

  /** Those who have been heard of lately, ourselves not among them. */
  get others(): ReadonlySet<string> {
    return this.#others;
  }

  send(replicaId: string, item: Item): void {
    const outbox = this.#outboxes.get(replicaId) ?? { items: [], bytes: 0, timer: null };
    this.#outboxes.set(replicaId, outbox);
    const bytes = encodeItem(item);
    outbox.items.push(bytes);
    outbox.bytes += bytes.length;
    if (outbox.timer === null) {
      this.#post(replicaId, outbox);
      outbox.timer = setTimeout(() => this.#tick(replicaId, outbox), BATCH_MS);
    } else if (outbox.bytes > BATCH_BYTES) {
      this.#post(replicaId, outbox);
    }
  }

  broadcast(message: unknown): void {
    for (const replicaId of this.#others) this.send(replicaId, { kind: 'message', message });
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    for (const { timer } of this.#outboxes.values()) if (timer) clearTimeout(timer);
    if (isUp(this.#redis)) await this.#redis.zrem(keys.replicas, this.id).catch(() => {});
  }

  #tick(replicaId: string, outbox: Outbox): void {
    outbox.timer = null;
    if (outbox.items.length === 0) return;
    this.#post(replicaId, outbox);
    outbox.timer = setTimeout(() => this.#tick(replicaId, outbox), BATCH_MS);
  }

  #post(replicaId: string, outbox: Outbox): void {
    const envelope = encodeEnvelope(this.id, outbox.items);
    outbox.items = [];
    outbox.bytes = 0;
    this.#redis
      .publish(keys.replicaChannel(replicaId), envelope)
      .catch((error: unknown) => this.#log.debug({ err: error, replicaId }, 'message to replica lost'));
  }

  #receive(bytes: Buffer): void {
    const envelope = decodeEnvelope(bytes);
    if (!envelope) {
      this.#log.warn('a message of another replica could not be read');
      return;
    }
    for (const item of envelope.items) this.#events?.item(envelope.sender, item);
  }

  async #look(): Promise<void> {
    if (!isUp(this.#redis)) return; // nobody is declared dead by somebody who cannot see
    try {
      const there = await this.#redis.seeReplicas(keys.replicas, this.id, GONE_MS);
      const others = new Set(there.filter((id) => id !== this.id));
      const nowMs = performance.now();
      // Who could not look, because Redis was away or we were stopped, calls nobody gone before the others had time to say that they are here.
      if (nowMs - this.#lookedAtMs > GONE_MS / 2) this.#judgesFromMs = nowMs + GONE_MS;
      this.#lookedAtMs = nowMs;
      if (nowMs < this.#judgesFromMs) for (const id of this.#others) others.add(id);
      const gone = [...this.#others].filter((id) => !others.has(id));
      for (const id of others) if (!this.#others.has(id)) this.#log.info({ replicaId: id }, 'another coordinator is there');
      this.#others = others;
      for (const id of gone) {
        this.#log.warn({ replicaId: id }, 'another coordinator is gone');
        this.#outboxes.delete(id);
        this.#events?.gone(id);
      }
      for (const listener of this.#beatListeners) listener();
    } catch (error) {
      this.#log.debug({ err: error }, 'replicas not looked up');
    }
  }
}
