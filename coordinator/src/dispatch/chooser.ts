import { modelKey, sameModel } from '@lai/shared/model-name';
import type { LoadedModel } from '@lai/shared/node';
import type { Target } from '../routing/target.ts';
import { PASSING } from '../scheduler/filters.ts';
import type { FleetNode } from '../scheduler/fleet.ts';
import { type Candidate, type Placement, place } from '../scheduler/place.ts';
import type { Affinity } from './affinity.ts';
import type { Clock } from './clock.ts';
import type { Cooldowns } from './cooldowns.ts';
import type { Figures } from './figures.ts';
import type { Leases } from './leases.ts';
import type { Loads } from './loads.ts';
import type { Nodes } from './nodes.ts';
import type { Quarantine } from './quarantine.ts';
import type { Ticket } from './ticket.ts';

export type Fleet = readonly (FleetNode & { readonly epoch: number })[];

export interface ChooserOptions {
  readonly nodes: Nodes;
  readonly leases: Leases;
  readonly loads: Loads;
  readonly figures: Figures;
  readonly cooldowns: Cooldowns;
  readonly quarantine: Quarantine;
  readonly affinity: Affinity;
  readonly clock: Clock;
}

/** How long a node is kept free of others for a model that is to be loaded there; longer answers are waited for another time. */
const DRAIN_MS = 20_000;
/** And for so long on top while the load is under way: it may hang. */
const LONGEST_LOAD_MS = 60_000;
/** Before that is done at all; see `makeRoom`. */
const PATIENCE_MS = 5_000;
const LONGEST_PATIENCE_MS = 60_000;
const CHANGES_WORTH = 2;

/** A node is being kept free of others' requests until this model is loaded. */
interface Room {
  readonly model: string;
  readonly untilMs: number;
  /** Who waits for it; null when that is somebody at another replica. */
  readonly ticket: Ticket | null;
}

/**
 * Where a request may run: asks the scheduler, with all that this replica knows of the fleet and what the quarantine allows. Single
 * writer of who has a node for itself, and of the room that is being made.
 */
export class Chooser {
  readonly #options: ChooserOptions;
  /** Nodes that one dangerous request has for itself. */
  readonly #reserved = new Map<string, Ticket>();
  /** Nodes that others are kept away from until a model is loaded there. */
  readonly #rooms = new Map<string, Room>();
  /** When that last ended: whoever was kept away counts their waiting from then on. */
  readonly #roomEndedAtMs = new Map<string, number>();

  constructor(options: ChooserOptions) {
    this.#options = options;
  }

  /**
   * The fleet as of now. What is leased and reserved is read when asked, since each claim of a pump changes it. `wanted`: models that
   * somebody waits for, without `:latest`.
   */
  fleet(wanted: ReadonlySet<string> = NOBODY): Fleet {
    const { leases, loads, figures, cooldowns } = this.#options;
    const reserved = this.#reserved;
    const roomFor = (nodeId: string) => this.#roomOn(nodeId)?.model ?? null;
    return this.#options.nodes.list().map((record) => {
      const { nodeId } = record;
      return {
        ...record,
        get leased() {
          return leases.taken(nodeId);
        },
        get isReserved() {
          return reserved.has(nodeId);
        },
        isContested: (model: string) => leases.isContested(nodeId, model),
        loading: loads.on(nodeId),
        loadBars: loads.barsOn(nodeId),
        shortageBytes: (model: LoadedModel) => loads.shortageBytes(model),
        get isSettled() {
          return loads.isSettled(nodeId);
        },
        get roomFor() {
          return roomFor(nodeId);
        },
        // Where room is being made, wanting a model does not keep it.
        isWanted: (model: string) => roomFor(nodeId) === null && wanted.has(modelKey(model)),
        coolingUntilMs: (model: string) => cooldowns.untilMs(nodeId, model),
        figures: (model: string) => figures.of(nodeId, model),
      };
    });
  }

  /** The best place for this ticket, or for anybody with this target. `queued`: how many wait for it beside. */
  choose(target: Target, ticket: Ticket | null, queued: number, fleet: Fleet = this.fleet()): Placement {
    const { quarantine, affinity, clock } = this.#options;
    const nowMs = clock.nowMs();
    const permission = ticket ? quarantine.permission(ticket.fingerprint) : { kind: 'free' as const };
    const isBarred = (node: Fleet[number]) =>
      ticket?.tried.get(node.nodeId) === node.epoch ||
      permission.kind === 'wait' ||
      permission.kind === 'blocked' ||
      (permission.kind === 'confined' && !permission.nodes.has(node.nodeId));
    return place({
      target,
      nodes: fleet,
      excluded: ticket ? new Set(fleet.filter(isBarred).map((node) => node.nodeId)) : NOBODY,
      affinity: ticket ? affinity.nodeFor(ticket.affinity) : null,
      needsAlone: permission.kind === 'alone',
      queued,
      waitedMs: ticket === null || ticket.state === 'claimed' ? 0 : nowMs - ticket.enqueuedAtMs,
      nowMs,
    });
  }

  /**
   * The quickest way is to let the node finish what it does for other models and load this one. Done once somebody has waited for that
   * twice as long as such a change costs: two models that take turns spend a third of the time on loading, at most. Until then, or should
   * it take too long, the node goes on as it was. True when it has just begun.
   */
  makeRoom(ticket: Ticket, { nodeId, model, score }: Candidate): boolean {
    const nowMs = this.#options.clock.nowMs();
    if (this.#roomOn(nodeId) !== null) return false;
    const sinceMs = Math.max(ticket.enqueuedAtMs, this.#roomEndedAtMs.get(nodeId) ?? 0);
    const patienceMs = Math.min(LONGEST_PATIENCE_MS, Math.max(PATIENCE_MS, CHANGES_WORTH * (score.loadMs + score.evictMs)));
    if (nowMs - sinceMs < patienceMs) return false;
    this.#rooms.set(nodeId, { model, untilMs: nowMs + DRAIN_MS, ticket });
    return true;
  }

  /** Another replica has somebody who has waited that long. */
  keepRoom(nodeId: string, model: string): void {
    if (this.#roomOn(nodeId) === null)
      this.#rooms.set(nodeId, { model, untilMs: this.#options.clock.nowMs() + DRAIN_MS, ticket: null });
  }

  #roomOn(nodeId: string): Room | null {
    const room = this.#rooms.get(nodeId);
    if (!room) return null;
    const { nodes, loads, clock } = this.#options;
    const nowMs = clock.nowMs();
    const isLoading = loads.on(nodeId).has(room.model) && nowMs < room.untilMs + LONGEST_LOAD_MS;
    const entry = nodes.snapshot(nodeId)?.models.find(({ id }) => sameModel(id, room.model));
    const isWaitedFor = room.ticket === null || WAITING.has(room.ticket.state);
    if (isLoading || (isWaitedFor && entry && entry.state !== 'warm' && nowMs < room.untilMs)) return room;
    this.#rooms.delete(nodeId);
    this.#roomEndedAtMs.set(nodeId, nowMs);
    return null;
  }

  /** It has failed wherever it could run, and nothing that passes by itself stands in the way anywhere. */
  hasTriedAll(ticket: Ticket, { candidates, refusals }: Placement): boolean {
    const { kind } = this.#options.quarantine.permission(ticket.fingerprint);
    if ((kind !== 'free' && kind !== 'alone') || candidates.length > 0) return false;
    return refusals.some(({ reason }) => reason === 'already_tried') && refusals.every(({ reason }) => !PASSING.has(reason));
  }

  /** A slot was chosen for whoever is first, and is held; is it right for the one who came? */
  suits(ticket: Ticket, { nodeId, epoch }: Pick<Candidate, 'nodeId' | 'epoch'>): boolean {
    if (ticket.tried.get(nodeId) === epoch || ticket.notBeforeMs > this.#options.clock.nowMs()) return false;
    const permission = this.#options.quarantine.permission(ticket.fingerprint);
    switch (permission.kind) {
      case 'free':
        return true;
      case 'confined':
        return permission.nodes.has(nodeId);
      case 'alone':
        return this.#options.leases.taken(nodeId).total === 1 && !this.#reserved.has(nodeId);
      case 'wait':
      case 'blocked':
        return false;
    }
  }

  /** Nothing speaks against running it anywhere. */
  isFree(ticket: Ticket): boolean {
    return this.#options.quarantine.permission(ticket.fingerprint).kind === 'free';
  }

  isBlocked(ticket: Ticket): boolean {
    return this.#options.quarantine.permission(ticket.fingerprint).kind === 'blocked';
  }

  /** It will run there. Counted from the decision on: another copy of it may be decided on before the attempt has started. */
  begin(ticket: Ticket, nodeId: string): void {
    const { quarantine } = this.#options;
    if (quarantine.permission(ticket.fingerprint).kind === 'alone') this.#reserved.set(nodeId, ticket);
    quarantine.started(ticket.fingerprint, nodeId);
  }

  /** It runs nowhere any more. */
  end(ticket: Ticket): void {
    for (const [nodeId, holder] of this.#reserved) if (holder === ticket) this.#reserved.delete(nodeId);
  }

  /** A slot of the node came free; if it was the last one of somebody who had the node for itself, others may come. */
  freed(nodeId: string): void {
    const holder = this.#reserved.get(nodeId);
    if (holder && holder.state !== 'granted') this.#reserved.delete(nodeId);
  }
}

const NOBODY: ReadonlySet<string> = new Set();
const WAITING: ReadonlySet<Ticket['state']> = new Set(['adding', 'queued', 'claimed']);
