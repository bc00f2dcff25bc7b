import type { Logger } from 'pino';
import { type Clock, repeat } from './clock.ts';
import type { Lease, LeaseAnswer, LeaseRequest, LeaseStore } from './lease-store.ts';

const LEASE_TTL_MS = 15_000;
const RENEW_MS = 5_000;
/** How long a refusal, and what it said about others' leases, is believed. */
export const CONTESTED_MS = 50;
const OTHERS_BELIEVED_MS = 500;

interface Counts {
  total: number;
  readonly byModel: Map<string, number>;
}

/**
 * Slots in use. A slot is reserved here first, in memory, so that two decisions of one moment cannot both have it, and then claimed in
 * the store, where all replicas count. A lease that nobody renews ends by itself; one that is held is renewed, and is taken anew should
 * the store have forgotten it. Single writer of the reservations.
 */
export class Leases {
  readonly #store: LeaseStore;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #held = new Map<string, Lease>();
  /** Reserved, and not answered for by the store yet: a renewal would take them whatever the answer. */
  readonly #claiming = new Map<string, Lease>();
  readonly #counts = new Map<string, Counts>();
  /** Slots that other replicas hold, as the last claim on the node saw it. */
  readonly #others = new Map<string, { readonly node: number; readonly byModel: Map<string, number>; readonly atMs: number }>();
  readonly #contested = new Map<string, number>();
  /** By node: how often something was given back. */
  readonly #releases = new Map<string, number>();
  /** Slots that were handed over lately, with the replica that has them now, if it lives. */
  readonly #handed = new Map<string, { readonly lease: Lease; readonly to: string; readonly atMs: number }>();
  /** Slots given back while the store was away; it still counts them. */
  #owed: Lease[] = [];
  readonly #stop: () => void;

  constructor(options: { store: LeaseStore; clock: Clock; log: Logger }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#log = options.log;
    // First what is held: it may be about to expire, and somebody else would be given it.
    options.store.onUp(() => {
      this.renewAll();
      this.#settleDebts();
    });
    this.#stop = repeat(options.clock, RENEW_MS, () => this.renewAll());
  }

  get held(): number {
    return this.#held.size;
  }

  /** What is taken on a node: ours, reservations included, and others' as far as we have heard. */
  taken(nodeId: string): { readonly total: number; readonly byModel: ReadonlyMap<string, number> } {
    const ours = this.#counts.get(nodeId) ?? NOTHING;
    const others = this.#others.get(nodeId);
    if (!others || others.node === 0 || this.#clock.nowMs() - others.atMs > OTHERS_BELIEVED_MS) return ours;
    const byModel = new Map(ours.byModel);
    for (const [model, count] of others.byModel) byModel.set(model, (byModel.get(model) ?? 0) + count);
    return { total: ours.total + others.node, byModel };
  }

  /** The store refused a slot here a moment ago: somebody else has it, and asking again at once would be refused again. */
  isContested(nodeId: string, model: string): boolean {
    if (this.#contested.size === 0) return false;
    const place = placeOf(nodeId, model);
    const untilMs = this.#contested.get(place);
    if (untilMs === undefined || untilMs > this.#clock.nowMs()) return untilMs !== undefined;
    this.#contested.delete(place);
    return false;
  }

  /** Reserves at once and claims in the store; anything but `taken` has given the reservation back. Throws when the store cannot be asked. */
  async claim(request: LeaseRequest): Promise<LeaseAnswer['kind']> {
    const { id, nodeId, epoch, model } = request;
    const lease = { id, nodeId, epoch, model };
    const releases = this.#releases.get(nodeId);
    this.adopt(lease);
    this.#claiming.set(id, lease);
    try {
      const answer = await this.#store.claim(request, LEASE_TTL_MS);
      this.#claiming.delete(id);
      if (answer.kind !== 'taken') this.#unreserve(id);
      // What we gave back meanwhile the store still counted, and it would pass for others'.
      if (this.#releases.get(nodeId) === releases) this.#hear(lease, answer);
      else this.#others.delete(nodeId);
      if (answer.kind === 'taken') return 'taken';
      this.#contested.set(placeOf(nodeId, model), this.#clock.nowMs() + CONTESTED_MS);
      return answer.kind;
    } catch (error) {
      // It may have been taken all the same: release, so that it does not wait for its expiry.
      this.release(lease);
      throw error;
    } finally {
      this.#claiming.delete(id);
    }
  }

  /** Writes a reserved slot down for the other replicas, whatever they say to it: the attempt is under way. */
  async record(request: LeaseRequest): Promise<void> {
    await this.#store.claim(request, LEASE_TTL_MS);
  }

  /** Holds a lease that is claimed already (by another replica, for us). */
  adopt(lease: Lease): void {
    if (this.#held.has(lease.id)) return;
    this.#held.set(lease.id, lease);
    this.#count(lease, 1);
  }

  /** Others have given something back on the node; the next claim will say how much. */
  forgetOthers(nodeId: string): void {
    this.#others.delete(nodeId);
  }

  /** Stops holding a lease that the store was never asked for. */
  forget(lease: Lease): void {
    this.#unreserve(lease.id);
  }

  /** Stops holding a lease without giving it back: another replica has it now. */
  handOver(lease: Lease, to: string): void {
    this.#unreserve(lease.id);
    const nowMs = this.#clock.nowMs();
    for (const [id, { atMs }] of this.#handed) {
      if (nowMs - atMs <= LEASE_TTL_MS) break;
      this.#handed.delete(id);
    }
    this.#handed.set(lease.id, { lease, to, atMs: nowMs });
  }

  /** What was handed to a replica lately, which is gone: it may have died before it heard of it, and nobody else would give it back. */
  takeBack(replicaId: string): Lease[] {
    const handed = [...this.#handed.values()].filter(({ to }) => to === replicaId).map(({ lease }) => lease);
    for (const { id } of handed) this.#handed.delete(id);
    return handed;
  }

  /** Always, exactly once or more often. */
  release(lease: Lease): void {
    this.#unreserve(lease.id);
    this.#releases.set(lease.nodeId, (this.#releases.get(lease.nodeId) ?? 0) + 1);
    if (this.#store.isUp()) this.#giveBack(lease);
    else this.#owed.push(lease);
  }

  renewAll(): void {
    if (!this.#store.isUp()) return;
    for (const lease of this.#held.values()) {
      if (this.#claiming.has(lease.id)) continue;
      this.#store
        .renew(lease, LEASE_TTL_MS)
        .catch((error: unknown) => this.#log.debug({ err: error, leaseId: lease.id }, 'lease not renewed'));
    }
  }

  /** Whoever stops keeps no slot from those that go on. */
  close(): void {
    this.#stop();
    for (const lease of [...this.#held.values()]) this.release(lease);
  }

  #giveBack(lease: Lease): void {
    this.#store.release(lease).catch((error: unknown) => {
      this.#log.debug({ err: error, leaseId: lease.id }, 'lease not released yet');
      this.#owed.push(lease);
    });
  }

  #settleDebts(): void {
    for (const lease of this.#owed.splice(0)) if (!this.#held.has(lease.id)) this.#giveBack(lease);
  }

  /** What the store counts beyond ours is others'. It answers in order, so what we are still claiming it has not counted. */
  #hear({ nodeId, model }: Lease, { nodeTaken, modelTaken }: LeaseAnswer): void {
    const ours = this.#counts.get(nodeId) ?? NOTHING;
    const claiming = [...this.#claiming.values()].filter((lease) => lease.nodeId === nodeId);
    const claimingModel = claiming.filter((lease) => lease.model === model);
    const node = Math.max(0, nodeTaken - (ours.total - claiming.length));
    const byModel = new Map(this.#others.get(nodeId)?.byModel ?? []);
    byModel.set(model, Math.max(0, modelTaken - ((ours.byModel.get(model) ?? 0) - claimingModel.length)));
    this.#others.set(nodeId, { node, byModel: node === 0 ? new Map() : byModel, atMs: this.#clock.nowMs() });
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

const placeOf = (nodeId: string, model: string): string => `${nodeId}\n${model}`;
