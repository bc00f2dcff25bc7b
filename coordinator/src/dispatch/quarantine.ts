import { randomUUID } from 'node:crypto';
import type { ErrorCode } from '@lai/shared/errors';
import type { Reach } from '../nodes/node-session.ts';
import { type Clock, repeat } from './clock.ts';

/** Crashes after which a request is blocked, and for how long. */
const STRIKES = 2;
const BLOCK_MS = 60 * 60_000;
const REFRESH_MS = 5_000;
/** Copies of a request that nobody has seen succeed may run on so many engines at once: as many as it may kill. */
const UNPROVEN_ENGINES = 2;
const MOST_PROVEN = 50_000;

/** A strike, or one that is taken back. `id` is its own: a change that was told in vain, as it seemed, is told again. */
export interface StrikeChange {
  readonly id: string;
  readonly fingerprint: string;
  readonly change: 1 | -1;
}

/** Where strikes are counted for all replicas. */
export interface StrikeStore {
  /** Counts a change, once however often it is told, and returns how many strikes there are now. */
  add(change: StrikeChange, ttlMs: number): Promise<number>;
  /** Fingerprints that have strikes, with their number. */
  all(): Promise<ReadonlyMap<string, number>>;
}

export type Permission =
  | { readonly kind: 'free' }
  /** Only where copies of it run already. */
  | { readonly kind: 'confined'; readonly nodes: ReadonlySet<string> }
  /** Only where nothing else runs. */
  | { readonly kind: 'alone' }
  /** Not before the copy that runs has ended. */
  | { readonly kind: 'wait' }
  | { readonly kind: 'blocked' };

interface Lost {
  readonly fingerprint: string;
  readonly nodeId: string;
  readonly instanceId: string;
  readonly wasAccepted: boolean;
}

/** How many, and until when they count. */
interface Count {
  readonly count: number;
  readonly untilMs: number;
}

/**
 * Requests of death. A request that is in flight when an engine dies gets a strike; nobody can tell who did it, so everybody in flight
 * does, and innocents pass on their retry. After one strike a request runs only where nothing else runs, one copy at a time; after two
 * it is blocked for an hour. Whatever the size of the fleet, one request kills two engines at most.
 *
 * A node that was lost counts like a crash until it returns with the same agent process: then it was the network. One that was lost without
 * having accepted the request has hardly given it to an engine, whatever became of it: that is a suspicion, for which the request runs alone
 * until the node returns. Otherwise two machines that fall asleep or lose their power would block whoever asked for them.
 * Single writer of its memory; the store is the other replicas' view.
 */
export class Quarantine {
  readonly #store: StrikeStore;
  readonly #clock: Clock;
  readonly #onBlocked: (fingerprint: string) => void;
  readonly #onTold: (fingerprint: string, change: 1 | -1) => void;
  /** Changes that the store has not taken yet, oldest first. */
  readonly #untold: StrikeChange[] = [];
  #telling = Promise.resolve();
  #refreshing = Promise.resolve();
  #isRefreshDue = false;
  /** Fingerprints whose count has changed here since we last asked the store. */
  readonly #changed = new Set<string>();
  readonly #strikes = new Map<string, Count>();
  readonly #suspicions = new Map<string, Count>();
  /** Engines (nodes) on which copies run now, by fingerprint. */
  readonly #running = new Map<string, Map<string, number>>();
  /** Fingerprints that have been answered once: whatever kills an engine later, it was not they. */
  readonly #proven = new Set<string>();
  readonly #lost: Lost[] = [];
  /** By node: how often it has connected, and as which agent process the last time. */
  readonly #returns = new Map<string, { readonly instanceId: string; readonly count: number }>();
  /** By fingerprint and node: how often the node had connected when the newest copy was started there. */
  readonly #startedAfter = new Map<string, number>();
  readonly #stop: () => void;

  constructor(options: {
    store: StrikeStore;
    clock: Clock;
    onBlocked?: (fingerprint: string) => void;
    /** The store has a change now that other replicas should hear of. */
    onTold?: (fingerprint: string, change: 1 | -1) => void;
  }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#onBlocked = options.onBlocked ?? (() => {});
    this.#onTold = options.onTold ?? (() => {});
    this.#stop = repeat(options.clock, REFRESH_MS, () => void this.refresh());
    void this.refresh();
  }

  /** How a copy of the request may run now. */
  permission(fingerprint: string): Permission {
    const strikes = this.#valid(this.#strikes, fingerprint);
    if (strikes >= STRIKES) return { kind: 'blocked' };
    const engines = this.#running.get(fingerprint);
    if (strikes + this.#valid(this.#suspicions, fingerprint) > 0)
      return engines === undefined ? { kind: 'alone' } : { kind: 'wait' };
    if (this.#proven.has(fingerprint) || engines === undefined || engines.size < UNPROVEN_ENGINES) return { kind: 'free' };
    // A node that has connected anew since has another engine, which would be one more.
    const isSame = (nodeId: string) => this.#returnsOf(nodeId) === this.#startedAfter.get(`${fingerprint}\n${nodeId}`);
    return { kind: 'confined', nodes: new Set([...engines.keys()].filter(isSame)) };
  }

  /** A copy was given a slot there. */
  started(fingerprint: string, nodeId: string): void {
    const nodes = this.#running.get(fingerprint) ?? new Map<string, number>();
    nodes.set(nodeId, (nodes.get(nodeId) ?? 0) + 1);
    this.#running.set(fingerprint, nodes);
    this.#startedAfter.set(`${fingerprint}\n${nodeId}`, this.#returnsOf(nodeId));
  }

  /** For each that started, once. `instanceId` names the agent process that ran it. */
  ended(fingerprint: string, nodeId: string, instanceId: string, outcome: 'end' | ErrorCode, reach: Reach = 'node'): void {
    const nodes = this.#running.get(fingerprint);
    const left = (nodes?.get(nodeId) ?? 1) - 1;
    if (left > 0) nodes?.set(nodeId, left);
    else nodes?.delete(nodeId);
    if (nodes?.size === 0) this.#running.delete(fingerprint);
    const returnedAs = this.#returnedSince(fingerprint, nodeId);
    if (left <= 0) this.#startedAfter.delete(`${fingerprint}\n${nodeId}`);
    if (outcome === 'end') this.#prove(fingerprint);
    if (outcome === 'engine_crashed') this.#strike(fingerprint, 1);
    if (outcome !== 'node_lost' || reach === 'nowhere') return;
    const wasAccepted = reach === 'node';
    if (wasAccepted && returnedAs !== instanceId) this.#strike(fingerprint, 1);
    if (returnedAs !== null) return;
    if (!wasAccepted) this.#add(this.#suspicions, fingerprint, 1);
    this.#lost.push({ fingerprint, nodeId, instanceId, wasAccepted });
    if (this.#lost.length > 1_000) this.#lost.shift();
  }

  /** The node is connected again: with the same agent process nothing had died, and its strikes are taken back; suspicions always. */
  nodeReturned(nodeId: string, instanceId: string): void {
    this.#returns.set(nodeId, { instanceId, count: this.#returnsOf(nodeId) + 1 });
    for (const lost of this.#lost.filter((candidate) => candidate.nodeId === nodeId)) {
      this.#lost.splice(this.#lost.indexOf(lost), 1);
      if (!lost.wasAccepted) this.#add(this.#suspicions, lost.fingerprint, -1);
      else if (lost.instanceId === instanceId) this.#strike(lost.fingerprint, -1);
    }
  }

  /** News of a loss may come after the node has connected anew (its coordinator died, its old socket hung): as which agent process, or null. */
  #returnedSince(fingerprint: string, nodeId: string): string | null {
    const last = this.#returns.get(nodeId);
    if (!last || last.count <= (this.#startedAfter.get(`${fingerprint}\n${nodeId}`) ?? last.count)) return null;
    return last.instanceId;
  }

  /** Takes over what other replicas have counted. Never less than we have: Redis may have lost its memory. */
  refresh(): Promise<void> {
    if (!this.#isRefreshDue) {
      this.#isRefreshDue = true;
      this.#refreshing = this.#refreshing.then(() => this.#readAll());
    }
    return this.#refreshing;
  }

  async #readAll(): Promise<void> {
    this.#isRefreshDue = false;
    try {
      await this.#tell();
      this.#changed.clear();
      const counts = await this.#store.all();
      const untilMs = this.#clock.nowMs() + BLOCK_MS;
      for (const [fingerprint, count] of counts) {
        const ours = this.#strikes.get(fingerprint);
        // What has changed here meanwhile may be counted in there, or not.
        if (this.#changed.has(fingerprint)) void this.refresh();
        else if (!ours || ours.count < count) this.#strikes.set(fingerprint, { count, untilMs: ours?.untilMs ?? untilMs });
      }
    } catch {
      // the store is away; what we have seen ourselves still counts
    }
  }

  /** Another replica has counted a strike, or taken one back that we need not have heard of. */
  hear(fingerprint: string, change: 1 | -1): void {
    if (change === -1) this.#add(this.#strikes, fingerprint, change);
    void this.refresh();
  }

  close(): void {
    this.#stop();
  }

  #returnsOf(nodeId: string): number {
    return this.#returns.get(nodeId)?.count ?? 0;
  }

  #valid(counts: Map<string, Count>, fingerprint: string): number {
    const known = counts.get(fingerprint);
    if (!known) return 0;
    if (known.untilMs > this.#clock.nowMs()) return known.count;
    counts.delete(fingerprint);
    return 0;
  }

  #strike(fingerprint: string, change: 1 | -1): void {
    if (change === 1) this.#proven.delete(fingerprint);
    const count = this.#add(this.#strikes, fingerprint, change);
    if (count === STRIKES && change === 1) this.#onBlocked(fingerprint);
    this.#untold.push({ id: randomUUID(), fingerprint, change });
    void this.#tell().catch(() => {});
  }

  #add(counts: Map<string, Count>, fingerprint: string, change: 1 | -1): number {
    this.#changed.add(fingerprint);
    const count = Math.max(0, this.#valid(counts, fingerprint) + change);
    if (count === 0) counts.delete(fingerprint);
    else counts.set(fingerprint, { count, untilMs: this.#clock.nowMs() + BLOCK_MS });
    return count;
  }

  /** Resolves when all is told. What the store was away for is told with what comes next, or with the next look. */
  #tell(): Promise<void> {
    this.#telling = this.#telling.catch(() => {}).then(() => this.#tellAll());
    return this.#telling;
  }

  async #tellAll(): Promise<void> {
    for (let next = this.#untold[0]; next; next = this.#untold[0]) {
      await this.#store.add(next, BLOCK_MS);
      this.#untold.shift();
      this.#onTold(next.fingerprint, next.change);
    }
  }

  #prove(fingerprint: string): void {
    for (let count = this.#valid(this.#strikes, fingerprint); count > 0; count -= 1) this.#strike(fingerprint, -1);
    this.#strikes.delete(fingerprint);
    this.#suspicions.delete(fingerprint);
    // What it was suspected of is settled: a node that returns later takes nothing back twice.
    this.#lost.splice(0, this.#lost.length, ...this.#lost.filter((lost) => lost.fingerprint !== fingerprint));
    this.#proven.add(fingerprint);
    if (this.#proven.size > MOST_PROVEN) for (const oldest of this.#proven) return void this.#proven.delete(oldest);
  }
}
