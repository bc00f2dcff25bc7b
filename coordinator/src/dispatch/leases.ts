import type { Logger } from 'pino';
import { isUp, type LaiRedis } from '../redis/client.ts';
import { keys } from '../redis/keys.ts';

const LEASE_TTL_MS = 15_000;
const RENEW_MS = 5_000;
export const CONTESTED_MS = 50;

/** A slot on a node, taken for one attempt. */
export interface Lease {
  readonly id: string;
  readonly nodeId: string;
  readonly model: string;
}

export interface LeaseRequest extends Lease {
  readonly epoch: number;
  readonly nodeSlots: number;
  readonly modelSlots: number;
}

export type LeaseAnswer = 'taken' | 'full' | 'stale';

/**
 * Slots in use. A slot is reserved here first, in memory, so that two decisions of one moment cannot both have it, and then claimed in
 * Redis, where all replicas count. A lease that nobody renews ends by itself; one that is held is renewed, and is taken anew should
 * Redis have forgotten it. Single writer of the reservations.
 */
export class Leases {
  readonly #redis: LaiRedis;
  readonly #log: Logger;
  readonly #held = new Map<string, Lease>();
  /** Slots given back while Redis was away; it still counts them. */
  #owed: Lease[] = [];
  /** Models whose slots Redis counted differently from us, until when we believe it. */
  readonly #contested = new Map<string, number>();
  readonly #counts = new Map<string, { total: number; byModel: Map<string, number> }>();
  readonly #renewTimer: NodeJS.Timeout;

  constructor(options: { redis: LaiRedis; log: Logger }) {
    this.#redis = options.redis;
    this.#log = options.log;
    options.redis.on('ready', () => this.#settleDebts());
    this.#renewTimer = setInterval(() => this.renewAll(), RENEW_MS);
  }

  get held(): number {
    return this.#held.size;
  }

  /** What is taken on a node, reservations included. */
  taken(nodeId: string): { readonly total: number; readonly byModel: ReadonlyMap<string, number> } {
    return this.#counts.get(nodeId) ?? NOTHING;
  }

  /** Redis refused a slot here a moment ago: somebody else has it, and asking again at once would be refused again. */
  isContested(nodeId: string, model: string): boolean {
    const untilMs = this.#contested.get(`${nodeId}\n${model}`);
    return untilMs !== undefined && untilMs > performance.now();
  }

  /** Reserves at once and claims in Redis; anything but `taken` has given the reservation back. Throws when Redis cannot be asked. */
  async claim(request: LeaseRequest): Promise<LeaseAnswer> {
    const { id, nodeId, model } = request;
    this.#reserve({ id, nodeId, model });
    try {
      const answer = await this.#redis.claimLease(
        keys.nodeLeases(nodeId),
        keys.modelLeases(nodeId, model),
        keys.nodeEpoch(nodeId),
        id,
        LEASE_TTL_MS,
        request.nodeSlots,
        request.modelSlots,
        String(request.epoch),
      );
      if (answer === 1) return 'taken';
      this.#unreserve(id);
      this.#contested.set(`${nodeId}\n${model}`, performance.now() + CONTESTED_MS);
      return answer === -1 ? 'stale' : 'full';
    } catch (error) {
      // It may have been taken all the same: release, so that it does not wait for its expiry.
      this.release({ id, nodeId, model });
      throw error;
    }
  }

  /** Always, exactly once or more often. */
  release(lease: Lease): void {
    this.#unreserve(lease.id);
    if (isUp(this.#redis)) this.#giveBack(lease);
    else this.#owed.push(lease);
  }

  renewAll(): void {
    if (!isUp(this.#redis)) return;
    for (const { id, nodeId, model } of this.#held.values()) {
      this.#redis
        .renewLease(keys.nodeLeases(nodeId), keys.modelLeases(nodeId, model), id, LEASE_TTL_MS)
        .catch((error: unknown) => this.#log.debug({ err: error, leaseId: id }, 'lease not renewed'));
    }
  }

  close(): void {
    clearInterval(this.#renewTimer);
  }

  #giveBack(lease: Lease): void {
    const { id, nodeId, model } = lease;
    Promise.all([this.#redis.zrem(keys.nodeLeases(nodeId), id), this.#redis.zrem(keys.modelLeases(nodeId, model), id)]).catch(
      (error: unknown) => {
        this.#log.debug({ err: error, leaseId: id }, 'lease not released yet');
        this.#owed.push(lease);
      },
    );
  }

  #settleDebts(): void {
    for (const lease of this.#owed.splice(0)) if (!this.#held.has(lease.id)) this.#giveBack(lease);
  }

  #reserve(lease: Lease): void {
    this.#held.set(lease.id, lease);
    this.#count(lease, 1);
  }

  #unreserve(id: string): void {
    const lease = this.#held.get(id);
    if (!lease) return;
    this.#held.delete(id);
    this.#count(lease, -1);
  }

  #count({ nodeId, model }: Lease, change: number): void {
    const counts = this.#counts.get(nodeId) ?? { total: 0, byModel: new Map<string, number>() };
    counts.total += change;
    counts.byModel.set(model, (counts.byModel.get(model) ?? 0) + change);
    if (counts.total === 0) this.#counts.delete(nodeId);
    else this.#counts.set(nodeId, counts);
  }
}

const NOTHING = { total: 0, byModel: new Map<string, number>() } as const;
