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

/**
 * Where a request may run: asks the scheduler, with all that this replica knows of the fleet and what the quarantine allows. Single
 * writer of who has a node for itself.
 */
export class Chooser {
  readonly #options: ChooserOptions;
  /** Nodes that one dangerous request has for itself. */
  readonly #reserved = new Map<string, Ticket>();

  constructor(options: ChooserOptions) {
    this.#options = options;
  }

  /** The fleet as of now. What is leased and reserved is read when asked, since each claim of a pump changes it. */
  fleet(): Fleet {
    const { leases, loads, figures, cooldowns } = this.#options;
    const reserved = this.#reserved;
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
        loadBarredUntilMs: loads.barredUntilMs(nodeId),
        shortageBytes: (model: string) => loads.shortageBytes(model),
        coolingUntilMs: (model: string) => cooldowns.untilMs(nodeId, model),
        figures: (model: string) => figures.of(nodeId, model),
      };
    });
  }

  /** The best place for this ticket, or for anybody with this target. `queued`: how many wait for it beside. */
  choose(target: Target, ticket: Ticket | null, queued: number, fleet = this.fleet()): Placement {
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
