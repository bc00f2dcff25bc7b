import { randomUUID } from 'node:crypto';
import { CodedError } from '@lai/shared/errors';
import type { Logger } from 'pino';
import type { Target } from '../routing/target.ts';
import type { FleetNode } from '../scheduler/fleet.ts';
import { type Candidate, type Placement, place } from '../scheduler/place.ts';
import { sentenceFor } from '../scheduler/sentence.ts';
import { ADMISSION_LIMITS, type AdmissionLimits, refuseAdmission } from './admission.ts';
import type { Affinity } from './affinity.ts';
import { type Clock, repeat } from './clock.ts';
import type { Cooldowns } from './cooldowns.ts';
import type { Figures } from './figures.ts';
import type { JobOutcome, JobQueues, TakenJob } from './job-queue.ts';
import type { Lease } from './lease-store.ts';
import { CONTESTED_MS, type Leases } from './leases.ts';
import { Line } from './line.ts';
import type { Loads } from './loads.ts';
import type { Nodes } from './nodes.ts';
import { OwedJobs } from './owed-jobs.ts';
import type { Quarantine } from './quarantine.ts';
import type { Grant, Ticket } from './ticket.ts';

/** Covers what no event tells: cooldowns that end, wake-ups that were lost. */
const SWEEP_MS = 1_000;
/** Takes for others at the same time, by line. */
const MOST_PROBES = 8;
/** How long a request waits for Redis to come back before it is told to come back itself. */
const STORE_PATIENCE_MS = 2_500;
/** A third of the lock, and as often as the queues are asked for jobs whose taker is gone. */
const LOCK_RENEW_MS = 3_000;
/** How often, and at how many, Redis is looked at for who waits for a model that nobody here waits for. */
const LOOK_AGAIN_MS = 500;
const LOOK_AT = 20;
const MOST_RETRY_AFTER_SECONDS = 60;

type Fleet = readonly (FleetNode & { readonly epoch: number })[];

/** What others are told. */
export interface MatchingEvents {
  /** A job of another replica was taken for a slot; true when the replica that holds its client has been told. */
  foreignJob(job: TakenJob, grant: Grant): boolean;
  /** A job that belongs to nobody yet. */
  durableJob(job: TakenJob, grant: Grant): void;
  /** A job waits that others may have a slot for sooner. */
  added(target: Target): void;
  /** A slot came free that others may be waiting for. */
  freed(nodeId: string): void;
}

export interface MatchingOptions {
  readonly replicaId: string;
  readonly nodes: Nodes;
  readonly queues: JobQueues;
  readonly leases: Leases;
  readonly loads: Loads;
  readonly figures: Figures;
  readonly cooldowns: Cooldowns;
  readonly quarantine: Quarantine;
  readonly affinity: Affinity;
  readonly clock: Clock;
  readonly isStoreUp: () => boolean;
  /** No other replica is there. */
  readonly isAlone: () => boolean;
  readonly isReplicaThere: (replicaId: string) => boolean;
  readonly events: MatchingEvents;
  readonly log: Logger;
  readonly limits?: AdmissionLimits;
  readonly newLeaseId?: () => string;
}

/**
 * Brings waiting requests and free slots together: choose (scheduler/place) → claim (lease and job, in one round trip) → grant. Late
 * binding: a job belongs to nobody until a slot is free for it. Single writer of tickets and lines.
 */
export class Matching {
  readonly #options: MatchingOptions;
  readonly #limits: AdmissionLimits;
  readonly #tickets = new Map<string, Ticket>();
  readonly #lines = new Map<string, Line>();
  readonly #claimed = new Set<Ticket>();
  readonly #active = new Set<Ticket>();
  /** Lines of other replicas' or durable jobs that may be taken: something was added to them, by whomever. */
  readonly #hinted = new Map<string, Target>();
  /** Nodes that one dangerous request has for itself. */
  readonly #reserved = new Map<string, Ticket>();
  readonly #keyCounts = new Map<string, number>();
  readonly #owed = new OwedJobs();
  #heldBytes = 0;
  readonly #stops: (() => void)[];
  #isPumpDue = false;
  #isClosed = false;
  #cancelPump: (() => void) | null = null;
  #hasMissed = false;

  constructor(options: MatchingOptions) {
    this.#options = options;
    this.#limits = options.limits ?? ADMISSION_LIMITS;
    this.#stops = [
      options.nodes.onChange(() => this.pump()),
      repeat(options.clock, SWEEP_MS, () => this.#sweep()),
      repeat(options.clock, LOCK_RENEW_MS, () => this.#renewLocks()),
    ];
  }

  get waiting(): number {
    return this.#tickets.size - this.#active.size;
  }

  get running(): number {
    return this.#active.size;
  }

  /** What would happen to a request of this target now. */
  preview(target: Target): Placement {
    return this.#place(target, null, 0);
  }

  /**
   * Enters the queue. Resolves with a slot; rejects with CodedError when there is no room, the deadline passes, Redis stays away or
   * `leave` is called.
   */
  admit(ticket: Ticket): Promise<Grant> {
    const line = this.#lineOf(ticket.target);
    this.#refuse(ticket, line);
    const granted = this.#expect(ticket);
    this.#hold(ticket, 1);
    line.join(ticket);
    const fleet = this.#fleet();
    if (this.#startAtOnce(line, ticket, fleet)) return granted;
    void this.#add(line, ticket);
    // In the same tick, so that taking travels right behind adding.
    this.#pumpLine(line, fleet);

    return granted;
  }

  /** A request whose slot another replica, or a durable job's taker, has found already. */
  admitGranted(ticket: Ticket, job: TakenJob, grant: Grant): void {
    this.#hold(ticket, 1);
    ticket.job = job;
    ticket.state = 'granted';
    this.#active.add(ticket);
    this.#options.leases.adopt(grant.lease);
  }

  /** Is a slot that was found by somebody who did not know this request right for it? If it must have the node for itself, it has from now on. */
  accepts(ticket: Ticket, grant: Grant): boolean {
    const { nodeId } = grant.lease;
    if (!this.#suits(ticket, { nodeId, epoch: grant.epoch })) return false;
    this.#begin(ticket, nodeId);
    return true;
  }

  /** After a failed attempt: its job is still ours, so it waits for a slot only, before everybody in the queues. */
  admitAgain(ticket: Ticket): Promise<Grant> {
    const granted = this.#expect(ticket);
    this.#active.delete(ticket);
    this.#claim(ticket);
    this.pump();
    return granted;
  }

  /** The request is over, however it went; takes it from wherever it is. */
  leave(ticket: Ticket, outcome: JobOutcome): void {
    if (ticket.state === 'left') return;
    const { state } = ticket;
    ticket.state = 'left';
    if (this.#tickets.get(ticket.requestId) !== ticket) return; // it was refused: it never was in here
    ticket.grant?.reject(new CodedError('canceled'));
    this.#hold(ticket, -1);
    this.#claimed.delete(ticket);
    this.#active.delete(ticket);
    this.#unreserve(ticket);
    const line = this.#lineOf(ticket.target);
    line.leave(ticket, null);
    if (ticket.job) this.#finish(line, ticket.job, outcome);
    else if (state === 'queued' || state === 'adding') this.#remove(line, ticket.jobId);
  }

  /** The slot is free again. */
  release(lease: Lease): void {
    this.#options.leases.release(lease);
    for (const [nodeId, ticket] of this.#reserved)
      if (nodeId === lease.nodeId && ticket.state !== 'granted') this.#reserved.delete(nodeId);
    this.pump();
    this.#options.events.freed(lease.nodeId);
  }

  /** Another replica took our job and has a slot for it. False when nobody waits for it any more. */
  receiveGrant(job: TakenJob, grant: Grant): boolean {
    const ticket = this.#ticketOf(job);
    if (!ticket || (ticket.state !== 'queued' && ticket.state !== 'adding')) return false;
    this.#options.leases.adopt(grant.lease);
    ticket.job = job;
    this.#lineOf(ticket.target).leave(ticket, this.#options.clock.nowMs());
    if (this.accepts(ticket, grant)) {
      this.#settle(ticket, grant);
    } else {
      this.release(grant.lease);
      this.#claim(ticket);
      this.pump();
    }
    return true;
  }

  /** Jobs may wait for this target that are not ours. */
  hint(target: Target): void {
    const line = this.#lineOf(target);
    line.hints += 1;
    this.#hinted.set(line.queue.name, target);
    this.pump();
  }

  /**
   * Redis was away or has forgotten: whatever waits here but not there is put there again. A take whose answer was lost has left its job
   * taken by nobody; that one runs into its lock's end, and the request gets a new one.
   */
  async recheck(): Promise<void> {
    if (!this.#options.isStoreUp()) return;
    this.#hasMissed = false;
    await Promise.all(
      [...this.#lines.values()].flatMap((line) => [...line.waiting].map((ticket) => this.#recheckTicket(line, ticket))),
    );
    this.pump();
  }

  /** 1 for the next in line; null when it does not wait in a queue. */
  position(ticket: Ticket): number | null {
    return ticket.state === 'claimed' ? 1 : this.#lineOf(ticket.target).position(ticket);
  }

  etaMs(ticket: Ticket): number | null {
    const position = this.position(ticket);
    return position === null ? null : this.#lineOf(ticket.target).etaMs(position);
  }

  close(): void {
    this.#isClosed = true;
    for (const stop of this.#stops) stop();
    this.#cancelPump?.();
  }

  // Pump: choose and claim, for as long as there is something to choose

  /** Soon, once, however often it is asked for. */
  pump(): void {
    if (this.#isClosed || this.#isPumpDue || (this.#tickets.size === this.#active.size && this.#hinted.size === 0)) return;
    this.#isPumpDue = true;
    queueMicrotask(() => {
      this.#isPumpDue = false;
      if (!this.#options.isStoreUp()) return;
      const fleet = this.#fleet();
      for (const ticket of [...this.#claimed]) this.#pumpClaimed(ticket, fleet);
      for (const line of this.#lines.values()) this.#pumpLine(line, fleet);
      for (const target of this.#hinted.values()) this.#pumpHinted(target, fleet);
    });
  }

  /** One timer for all who wait for a moment to pass. */
  #pumpIn(ms: number): void {
    this.#cancelPump ??= this.#options.clock.after(ms, () => {
      this.#cancelPump = null;
      this.pump();
    });
  }

  #pumpLine(line: Line, fleet: Fleet): void {
    while (line.waiting.size > line.taking && this.#options.isStoreUp()) {
      const placement = this.#place(line.target, this.#headOf(line), line.waiting.size - line.taking, fleet);
      for (const ticket of line.waiting) ticket.lastPlacement = placement;
      const { decision } = placement;
      if (decision.kind === 'load') this.#options.loads.request(decision.candidate);
      if (decision.kind !== 'run') return;
      void this.#take(line, decision.candidate, placement);
    }
  }

  /** A request that may not run just anywhere must not hold up those behind it: should it be taken, it waits apart for its slot. */
  #headOf(line: Line): Ticket | null {
    const { quarantine } = this.#options;
    return line.head((ticket) => quarantine.permission(ticket.fingerprint).kind === 'free') ?? line.head();
  }

  /** Others' jobs and durable ones, beside what ours take: at first one take at a time, and no more once one comes back empty. */
  #pumpHinted(target: Target, fleet: Fleet): void {
    const line = this.#lineOf(target);
    while (line.probing < line.mostProbes) {
      const placement = this.#place(target, null, 1, fleet);
      const { decision } = placement;
      const isQuiet = line.waiting.size === 0 && line.taking === 0 && line.probing === 0;
      if (decision.kind === 'load' && isQuiet) void this.#loadIfWanted(line, decision.candidate);
      if (decision.kind !== 'run') return;
      void this.#probe(line, decision.candidate, placement);
    }
  }

  async #probe(line: Line, candidate: Candidate, placement: Placement): Promise<void> {
    const { hints } = line;
    line.probing += 1;
    const found = await this.#take(line, candidate, placement, true);
    line.probing -= 1;
    if (found === 'something') {
      line.mostProbes = Math.min(MOST_PROBES, 2 * line.mostProbes);
      this.pump();
    } else {
      line.mostProbes = 1;
    }
    if (found !== 'nothing') return;
    // A hint that came meanwhile is about a job that this take may have been too early for.
    if (line.hints === hints) this.#hinted.delete(line.queue.name);
    else this.pump();
  }

  /**
   * Loads for whom nobody else does: a durable job's. A request's own replica asks for its load, and jobs of replicas that are no more, or
   * a hint of a job that is gone, must not push a model out that is used.
   */
  async #loadIfWanted(line: Line, candidate: Candidate): Promise<void> {
    const { clock, loads, isReplicaThere } = this.#options;
    if (clock.nowMs() - line.lookedAtMs < LOOK_AGAIN_MS) return; // the sweep comes by
    line.lookedAtMs = clock.nowMs();
    line.taking += 1;
    const jobs = await line.queue.first(LOOK_AT).catch(() => null);
    line.taking -= 1;
    if (jobs === null) return;
    const orphans = jobs.filter(({ data: { origin } }) => origin !== null && !isReplicaThere(origin));
    for (const { id } of orphans) this.#remove(line, id);
    if (jobs.some(({ data }) => data.origin === null)) loads.request(candidate);
    if (jobs.length === orphans.length && jobs.length < LOOK_AT) this.#hinted.delete(line.queue.name);
    // Hinted again, or joined, while we looked.
    this.pump();
  }

  #pumpClaimed(ticket: Ticket, fleet: Fleet): void {
    const waitMs = ticket.notBeforeMs - this.#options.clock.nowMs();
    if (waitMs > 0) {
      this.#pumpIn(waitMs);
      return;
    }
    const placement = this.#place(ticket.target, ticket, 1, fleet);
    ticket.lastPlacement = placement;
    const { decision } = placement;
    if (decision.kind === 'load') this.#options.loads.request(decision.candidate);
    if (decision.kind === 'run') void this.#lease(ticket, decision.candidate, placement);
  }

  #place(target: Target, ticket: Ticket | null, queued: number, fleet = this.#fleet()): Placement {
    const nowMs = this.#options.clock.nowMs();
    const permission = ticket ? this.#options.quarantine.permission(ticket.fingerprint) : { kind: 'free' as const };
    const isBarred = (node: Fleet[number]) =>
      ticket?.tried.get(node.nodeId) === node.epoch ||
      permission.kind === 'wait' ||
      permission.kind === 'blocked' ||
      (permission.kind === 'confined' && !permission.nodes.has(node.nodeId));
    return place({
      target,
      nodes: fleet,
      excluded: ticket ? new Set(fleet.filter(isBarred).map((node) => node.nodeId)) : NOBODY,
      affinity: ticket ? this.#options.affinity.nodeFor(ticket.affinity) : null,
      needsAlone: permission.kind === 'alone',
      queued,
      waitedMs: ticket === null || ticket.state === 'claimed' ? 0 : nowMs - ticket.enqueuedAtMs,
      nowMs,
    });
  }

  #fleet(): Fleet {
    const { leases, loads, figures, cooldowns } = this.#options;
    const reserved = this.#reserved;
    return this.#options.nodes.list().map((record) => {
      const { nodeId } = record;
      return {
        ...record,
        // Read when asked, since each claim of a pump changes it.
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

  /**
   * Nobody waits and a slot is free: the attempt starts now and the books (job, lease) follow, instead of the other way round. It saves
   * the round trip to Redis, with its fsync, before the first token. Only while this replica is alone: with others, Redis decides.
   */
  #startAtOnce(line: Line, ticket: Ticket, fleet: Fleet): boolean {
    const isFirst =
      line.waiting.size === 1 &&
      line.taking === 0 &&
      this.#claimed.size === 0 &&
      line.probing === 0 &&
      !this.#hinted.has(line.queue.name);
    if (!isFirst || !this.#options.isAlone() || !this.#options.isStoreUp()) return false;
    const placement = this.#place(line.target, ticket, 0, fleet);
    const { decision } = placement;
    if (decision.kind !== 'run') return false;
    const lease = this.#newLease(decision.candidate);
    this.#options.leases.adopt(lease);
    if (!this.#suits(ticket, decision.candidate)) {
      this.#options.leases.handOver(lease);
      return false;
    }
    line.leave(ticket, null);
    this.#grant(ticket, { lease, ...grantOf(decision.candidate, placement) });
    void this.#book(line, ticket, lease, decision.candidate);
    return true;
  }

  async #book(line: Line, ticket: Ticket, lease: Lease, { epoch, nodeSlots, modelSlots }: Candidate): Promise<void> {
    const { requestId, keyId, target, deadlineMs, jobId, priority } = ticket;
    const { replicaId, leases, log } = this.#options;
    try {
      void leases.record({ ...lease, epoch, nodeSlots, modelSlots }).catch(() => {});
      await line.queue.add({ id: jobId, priority, data: { requestId, origin: replicaId, keyId, target, deadlineMs } });
      const job = await line.queue.take(lease.id);
      if (job?.id !== jobId) {
        // Somebody else's came first; it finds a slot like every job that was taken without one.
        this.#remove(line, jobId);
        if (job) this.#passOn(line, job, null);
      } else if (ticket.state === 'left') {
        this.#finish(line, job, { outcome: 'end', nodeId: lease.nodeId });
      } else {
        ticket.job = job;
      }
    } catch (error) {
      log.debug({ err: error, requestId }, 'a running request has no job: Redis is away');
      this.#owed.owe({ queue: line.queue, jobId, token: lease.id, outcome: { outcome: 'end', nodeId: lease.nodeId } });
    }
  }

  /** Claims a slot and the first job in line, side by side while nobody else does; gives back whichever has no use for the other. */
  async #take(
    line: Line,
    candidate: Candidate,
    placement: Placement,
    isProbe = false,
  ): Promise<'something' | 'nothing' | 'unknown'> {
    const lease = this.#newLease(candidate);
    if (!isProbe) line.taking += 1;
    const claiming = this.#claimLease(lease, candidate);
    // Alone, the slot is sure to be ours. With others, a job that was taken without one would have lost its place in line.
    const isWorthTaking = this.#options.isAlone() || (await claiming.catch(() => 'full' as const)) === 'taken';
    const [claimed, taken] = await Promise.allSettled([claiming, isWorthTaking ? line.queue.take(lease.id) : null]);
    if (!isProbe) line.taking -= 1;
    if (!isWorthTaking) {
      this.#pumpIn(CONTESTED_MS);
      return 'unknown';
    }
    const hasLease = claimed.status === 'fulfilled' && claimed.value === 'taken';
    const job = taken.status === 'fulfilled' ? taken.value : null;
    if (!job) {
      // Somebody waits here and nobody there: to be looked at, unless it happens to be on its way.
      if (!isProbe && line.waiting.size > 0) this.#hasMissed = true;
      if (hasLease) this.#options.leases.release(lease);
      return taken.status === 'fulfilled' ? 'nothing' : 'unknown';
    }
    const ticket = this.#ticketOf(job);
    if (!ticket) {
      this.#passOn(line, job, hasLease ? { lease, ...grantOf(candidate, placement) } : null);
      return 'something';
    }
    if (ticket.state === 'granted') {
      // It started at once and runs already; this is its job. The slot is for the next in line.
      ticket.job = job;
      if (hasLease) this.#options.leases.release(lease);
      this.pump();
      return 'something';
    }
    ticket.job = job;
    line.leave(ticket, this.#options.clock.nowMs());
    if (hasLease && this.#suits(ticket, candidate)) {
      this.#grant(ticket, { lease, ...grantOf(candidate, placement) });
      return 'something';
    }
    if (hasLease) this.#options.leases.release(lease);
    this.#claim(ticket);
    if (hasLease) this.pump();
    else this.#pumpIn(CONTESTED_MS);
    return 'something';
  }

  /** A job that is not ours. Without a slot for it, and for jobs whose client is gone, it is finished: its origin will notice. */
  #passOn(line: Line, job: TakenJob, grant: Grant | null): void {
    const { events, leases, replicaId } = this.#options;
    const { origin } = job.data;
    if (grant && origin === null) {
      events.durableJob(job, grant);
    } else if (grant && origin !== replicaId && events.foreignJob(job, grant)) {
      leases.handOver(grant.lease);
    } else {
      if (grant) leases.release(grant.lease);
      const ticket = this.#ticketOf(job);
      if (ticket) this.#takeWithoutSlot(line, ticket, job);
      else if (origin !== null) this.#finish(line, job, { outcome: 'abandoned', nodeId: null });
    }
    this.pump();
  }

  #takeWithoutSlot(line: Line, ticket: Ticket, job: TakenJob): void {
    ticket.job = job;
    if (ticket.state === 'granted') return; // it started at once and runs already
    line.leave(ticket, this.#options.clock.nowMs());
    this.#claim(ticket);
  }

  async #lease(ticket: Ticket, candidate: Candidate, placement: Placement): Promise<void> {
    const lease = this.#newLease(candidate);
    this.#claimed.delete(ticket);
    const answer = await this.#claimLease(lease, candidate).catch(() => 'full' as const);
    if (answer === 'taken' && ticket.state === 'claimed' && this.#suits(ticket, candidate)) {
      this.#grant(ticket, { lease, ...grantOf(candidate, placement) });
      return;
    }
    // Unused, so no news: with everybody told, replicas that want a node for themselves would call each other up without end.
    if (answer === 'taken') this.#options.leases.release(lease);
    if (ticket.state !== 'claimed') return;
    this.#claim(ticket);
    this.#pumpIn(CONTESTED_MS);
  }

  /** The slot was chosen for whoever is first; is it right for the one who came? */
  #suits(ticket: Ticket, { nodeId, epoch }: Pick<Candidate, 'nodeId' | 'epoch'>): boolean {
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

  #claimLease(lease: Lease, { epoch, nodeSlots, modelSlots }: Candidate) {
    return this.#options.leases.claim({ ...lease, epoch, nodeSlots, modelSlots });
  }

  #newLease({ nodeId, model }: Candidate): Lease {
    return { id: this.#options.newLeaseId?.() ?? randomUUID(), nodeId, model };
  }

  #grant(ticket: Ticket, grant: Grant): void {
    this.#begin(ticket, grant.lease.nodeId);
    this.#settle(ticket, grant);
  }

  /** Counted from the moment of the decision: another copy of the request may be decided on before the attempt has started. */
  #begin(ticket: Ticket, nodeId: string): void {
    const { quarantine } = this.#options;
    if (quarantine.permission(ticket.fingerprint).kind === 'alone') this.#reserved.set(nodeId, ticket);
    quarantine.started(ticket.fingerprint, nodeId);
  }

  #settle(ticket: Ticket, grant: Grant): void {
    ticket.state = 'granted';
    this.#active.add(ticket);
    ticket.grant?.resolve(grant);
  }

  #claim(ticket: Ticket): void {
    ticket.state = 'claimed';
    this.#unreserve(ticket);
    if (this.#options.quarantine.permission(ticket.fingerprint).kind === 'blocked') {
      ticket.grant?.reject(new CodedError('request_quarantined'));
      return;
    }
    this.#claimed.add(ticket);
  }

  #unreserve(ticket: Ticket): void {
    for (const [nodeId, holder] of this.#reserved) if (holder === ticket) this.#reserved.delete(nodeId);
  }

  #ticketOf(job: TakenJob): Ticket | undefined {
    const ticket = this.#tickets.get(job.data.requestId);
    return ticket?.jobId === job.id ? ticket : undefined;
  }

  // In and out

  #refuse(ticket: Ticket, line: Line): void {
    if (this.#options.quarantine.permission(ticket.fingerprint).kind === 'blocked') throw new CodedError('request_quarantined');
    const crowd = {
      waiting: this.waiting,
      waitingForTarget: line.waiting.size,
      waitingOfKey: this.#keyCounts.get(ticket.keyId) ?? 0,
      heldBytes: this.#heldBytes,
    };
    const refusal = refuseAdmission(crowd, ticket.bodyBytes, this.#limits);
    if (!refusal) return;
    const seconds = Math.ceil((line.etaMs(Math.max(1, Math.ceil(line.waiting.size / 10))) ?? 5_000) / 1_000);
    throw new CodedError(refusal.code, {
      message: refusal.message,
      retryAfterSeconds: Math.min(MOST_RETRY_AFTER_SECONDS, seconds),
    });
  }

  #hold(ticket: Ticket, change: 1 | -1): void {
    if (change === 1) this.#tickets.set(ticket.requestId, ticket);
    else this.#tickets.delete(ticket.requestId);
    this.#heldBytes += change * ticket.bodyBytes;
    const count = (this.#keyCounts.get(ticket.keyId) ?? 0) + change;
    if (count > 0) this.#keyCounts.set(ticket.keyId, count);
    else this.#keyCounts.delete(ticket.keyId);
  }

  #expect(ticket: Ticket): Promise<Grant> {
    const { promise, resolve, reject } = Promise.withResolvers<Grant>();
    const { clock } = this.#options;
    const cancel = clock.after(Math.max(0, ticket.deadlineMs - clock.nowMs()), () => this.#expire(ticket));
    const settle = () => {
      cancel();
      ticket.grant = null;
    };
    ticket.grant = {
      resolve: (grant) => {
        settle();
        resolve(grant);
      },
      reject: (error) => {
        settle();
        reject(error);
      },
    };
    return promise;
  }

  #expire(ticket: Ticket): void {
    const { grant, lastPlacement } = ticket;
    ticket.grant = null;
    const etaMs = this.etaMs(ticket);
    this.leave(ticket, { outcome: 'no_capacity', nodeId: null });
    const message = sentenceFor(ticket.target, lastPlacement ?? this.preview(ticket.target));
    const retryAfterSeconds = Math.min(MOST_RETRY_AFTER_SECONDS, Math.ceil((etaMs ?? 5_000) / 1_000));
    grant?.reject(new CodedError('no_capacity', { message, retryAfterSeconds }));
  }

  async #add(line: Line, ticket: Ticket): Promise<void> {
    const { requestId, keyId, target, deadlineMs, jobId, priority } = ticket;
    const { replicaId, log } = this.#options;
    try {
      await line.queue.add({ id: jobId, priority, data: { requestId, origin: replicaId, keyId, target, deadlineMs } });
    } catch (error) {
      log.debug({ err: error, requestId }, 'job not added yet');
      return; // swept up until Redis is back or patience ends
    }
    if (ticket.state === 'left') this.#remove(line, jobId);
    if (ticket.state === 'adding') ticket.state = 'queued';
    this.pump();
    if (ticket.state === 'queued') this.#options.events.added(target);
  }

  #finish(line: Line, job: TakenJob, outcome: JobOutcome): void {
    line.queue.complete(job, outcome).catch((error: unknown) => {
      this.#options.log.debug({ err: error, jobId: job.id }, 'job not marked as finished');
      this.#owed.owe({ queue: line.queue, jobId: job.id, token: job.token, outcome });
    });
  }

  #remove({ queue }: Line, jobId: string): void {
    const outcome = { outcome: 'canceled', nodeId: null };
    queue.remove(jobId).catch(() => this.#owed.owe({ queue, jobId, token: null, outcome }));
  }

  async #recheckTicket(line: Line, ticket: Ticket): Promise<void> {
    try {
      if (ticket.state === 'queued' && (await line.queue.stateOf(ticket.jobId)) === 'waiting') return;
    } catch {
      return; // away again; it will be looked at again
    }
    if (ticket.state !== 'queued' && ticket.state !== 'adding') return;
    ticket.addings += 1;
    ticket.jobId = `${ticket.requestId}-${ticket.addings}`;
    ticket.state = 'adding';
    await this.#add(line, ticket);
  }

  // Sweep: what no event tells

  #sweep(): void {
    const { clock, isStoreUp } = this.#options;
    for (const line of this.#lines.values()) {
      for (const ticket of line.waiting) {
        if (ticket.state !== 'adding') continue;
        if (clock.nowMs() - ticket.enqueuedAtMs >= STORE_PATIENCE_MS) this.#losePatience(ticket);
        else if (isStoreUp()) void this.#add(line, ticket);
      }
      if (isIdle(line) && !this.#hinted.has(line.queue.name)) this.#lines.delete(line.queue.name);
    }
    this.#turnAwayBlocked();
    if (this.#hasMissed) void this.recheck();
    if (isStoreUp()) void this.#owed.settle();
    this.pump();
  }

  /** Blocked since they came, by what copies of them did. */
  #turnAwayBlocked(): void {
    for (const ticket of this.#tickets.values()) {
      if (ticket.grant && this.#options.quarantine.permission(ticket.fingerprint).kind === 'blocked')
        ticket.grant.reject(new CodedError('request_quarantined'));
    }
  }

  #losePatience(ticket: Ticket): void {
    const { grant } = ticket;
    ticket.grant = null;
    this.leave(ticket, { outcome: 'store_unavailable', nodeId: null });
    grant?.reject(new CodedError('store_unavailable', { retryAfterSeconds: 2 }));
  }

  #renewLocks(): void {
    const byLine = new Map<Line, TakenJob[]>();
    for (const ticket of [...this.#active, ...this.#claimed]) {
      if (!ticket.job) continue;
      const line = this.#lineOf(ticket.target);
      byLine.set(line, [...(byLine.get(line) ?? []), ticket.job]);
    }
    for (const [line, jobs] of byLine) line.queue.renew(jobs).catch(() => {});
    for (const line of this.#lines.values()) line.queue.recover().catch(() => {});
  }

  #lineOf(target: Target): Line {
    const queue = this.#options.queues.of(target);
    const known = this.#lines.get(queue.name);
    if (known) return known;
    const line = new Line(queue, target);
    this.#lines.set(queue.name, line);
    return line;
  }
}

const isIdle = (line: Line): boolean => line.waiting.size === 0 && line.taking === 0 && line.probing === 0;

const NOBODY: ReadonlySet<string> = new Set();

const grantOf = ({ nodeName, epoch, model }: Candidate, placement: Placement) => ({ nodeName, epoch, model, placement });
