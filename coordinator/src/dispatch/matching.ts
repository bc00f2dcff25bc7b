import { randomUUID } from 'node:crypto';
import { CodedError, type ErrorCode } from '@lai/shared/errors';
import { modelKey } from '@lai/shared/model-name';
import type { Logger } from 'pino';
import type { Target } from '../routing/target.ts';
import type { PriorityClass } from '../scheduler/fairness.ts';
import type { Candidate, Placement } from '../scheduler/place.ts';
import { sentenceFor } from '../scheduler/sentence.ts';
import { ADMISSION_LIMITS, type AdmissionLimits, refuseAdmission } from './admission.ts';
import { Books } from './books.ts';
import { Chooser, type ChooserOptions, type Fleet } from './chooser.ts';
import { repeat } from './clock.ts';
import { FairShare } from './fair-share.ts';
import type { JobOutcome, JobQueues, TakenJob } from './job-queue.ts';
import type { Lease } from './lease-store.ts';
import { CONTESTED_MS } from './leases.ts';
import { Line } from './line.ts';
import { OthersJobs } from './others-jobs.ts';
import { expectGrant, type Grant, type Ticket } from './ticket.ts';
import { Tickets } from './tickets.ts';

/** Covers what no event tells: cooldowns that end, wake-ups that were lost. */
const SWEEP_MS = 1_000;
/** How long a request waits for Redis to come back before it is told to come back itself. */
const STORE_PATIENCE_MS = 2_500;
/** A third of the lock, and as often as the queues are asked for jobs whose taker is gone. */
const LOCK_RENEW_MS = 3_000;
const MOST_RETRY_AFTER_SECONDS = 60;
/** Before a load that failed is tried again; see loads.ts. */
const FAILING_RETRY_MS = 30_000;

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
  /** A node is to be left alone by other models' requests until this one is loaded there. */
  makesRoom(nodeId: string, model: string): void;
}

export interface MatchingOptions extends ChooserOptions {
  readonly replicaId: string;
  readonly queues: JobQueues;
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
 * binding: a job belongs to nobody until a slot is free for it. Single writer of lines and, beside Books, of tickets.
 */
export class Matching {
  readonly #options: MatchingOptions;
  readonly #limits: AdmissionLimits;
  readonly #tickets = new Tickets();
  readonly #share = new FairShare();
  readonly #lines = new Map<string, Line>();
  readonly #claimed = new Set<Ticket>();
  readonly #active = new Set<Ticket>();
  readonly #chooser: Chooser;
  readonly #books: Books;
  readonly #others: OthersJobs;
  readonly #stops: (() => void)[];
  #isPumpDue = false;
  #isClosed = false;
  #cancelPump: (() => void) | null = null;
  #hasMissed = false;

  constructor(options: MatchingOptions) {
    this.#options = options;
    this.#limits = options.limits ?? ADMISSION_LIMITS;
    this.#chooser = new Chooser(options);
    this.#books = new Books({ ...options, onEntered: (ticket) => this.#entered(ticket) });
    this.#others = new OthersJobs({
      ...options,
      chooser: this.#chooser,
      books: this.#books,
      lineOf: (target) => this.#lineOf(target),
      take: (line, candidate, placement) => this.#take(line, candidate, placement, true),
      pump: () => this.pump(),
    });
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
    return this.#chooser.choose(target, null, 0);
  }

  /**
   * Enters the queue. Resolves with a slot; rejects with CodedError when there is no room, the deadline passes, Redis stays away or
   * `leave` is called.
   */
  admit(ticket: Ticket): Promise<Grant> {
    const line = this.#lineOf(ticket.target);
    this.#refuse(ticket, line);
    const granted = this.#expect(ticket);
    this.#tickets.add(ticket);
    line.join(ticket);
    const fleet = this.#fleet();
    if (this.#startAtOnce(line, ticket, fleet)) return granted;
    void this.#books.enter(line, ticket);
    // In the same tick, so that taking travels right behind adding.
    while (this.#pumpOne(line, fleet));
    return granted;
  }

  /** A request whose slot another replica, or a durable job's taker, has found already. */
  admitGranted(ticket: Ticket, job: TakenJob, grant: Grant): void {
    this.#tickets.add(ticket);
    ticket.job = job;
    ticket.state = 'granted';
    this.#active.add(ticket);
    this.#options.leases.adopt(grant.lease);
  }

  /** Is a slot that was found by somebody who did not know this request right for it? If it must have the node for itself, it has from now on. */
  accepts(ticket: Ticket, grant: Grant): boolean {
    if (!this.#chooser.suits(ticket, grant.lease)) return false;
    this.#chooser.begin(ticket, grant.lease.nodeId);
    return true;
  }

  /**
   * After a failed attempt: its job is still ours, so it waits for a slot only, before everybody in the queues. Rejects with the ticket's
   * failure when nobody is left who could do better.
   */
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
    if (!this.#tickets.delete(ticket)) return; // it was refused
    ticket.grant?.reject(new CodedError('canceled'));
    this.#claimed.delete(ticket);
    this.#active.delete(ticket);
    this.#chooser.end(ticket);
    const line = this.#lineOf(ticket.target);
    line.leave(ticket, null);
    if (ticket.job) this.#books.finish(line, ticket.job, outcome);
    else if (state === 'queued' || state === 'adding') this.#books.remove(line, ticket.jobId);
  }

  /** The slot is free again. */
  release(lease: Lease): void {
    this.#options.leases.release(lease);
    this.#chooser.freed(lease.nodeId);
    this.pump();
    this.#options.events.freed(lease.nodeId);
  }

  /** Another replica took our job and has a slot for it. False when nobody waits for it any more. */
  receiveGrant(job: TakenJob, grant: Grant): boolean {
    const ticket = this.#tickets.ofJob(job);
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
    this.#others.hint(target);
    this.pump();
  }

  /** Redis was away or has forgotten. */
  async recheck(): Promise<void> {
    if (!this.#options.isStoreUp()) return;
    this.#hasMissed = false;
    await this.#books.recheck(this.#lines.values());
    this.pump();
  }

  /** Another replica makes room for a model there. */
  keepRoom(nodeId: string, model: string): void {
    this.#chooser.keepRoom(nodeId, model);
  }

  replicaGone(replicaId: string): void {
    for (const lease of this.#options.leases.takeBack(replicaId)) this.release(lease);
  }

  /** Where a durable job of this class would stand among those that wait. */
  priorityNow(priorityClass: PriorityClass): number {
    return this.#share.priorityNow(priorityClass);
  }

  /** 1 for the next in line; null when it does not wait in a queue. */
  position(ticket: Ticket): number | null {
    return ticket.state === 'claimed' ? 1 : this.#lineOf(ticket.target).position(ticket);
  }

  /** By how fast its line moves, or before that shows, by what the scheduler expects. */
  etaMs(ticket: Ticket): number | null {
    const position = this.position(ticket);
    return position === null ? null : (this.#lineOf(ticket.target).etaMs(position) ?? expectedMs(ticket.lastPlacement));
  }

  /** We are going soon: what waits and runs here comes to its end, and nobody else's work is begun. */
  drain(): void {
    this.#others.close();
  }

  /** We are going: whoever waits is to ask elsewhere, or again in a moment. */
  turnAway(): void {
    for (const ticket of this.#tickets.all()) ticket.grant?.reject(new CodedError('shutting_down', { retryAfterSeconds: 2 }));
  }

  close(): void {
    this.#isClosed = true;
    for (const stop of this.#stops) stop();
    this.#cancelPump?.();
  }

  // Pump: choose and claim, for as long as there is something to choose

  /** Soon, once, however often it is asked for. */
  pump(): void {
    if (this.#isClosed || this.#isPumpDue || (this.waiting === 0 && this.#others.size === 0)) return;
    this.#isPumpDue = true;
    queueMicrotask(() => {
      this.#isPumpDue = false;
      if (!this.#options.isStoreUp()) return;
      const fleet = this.#fleet();
      for (const ticket of [...this.#claimed]) this.#pumpClaimed(ticket, fleet);
      this.#pumpLines(fleet);
      this.#others.pump(fleet);
    });
  }

  #fleet(): Fleet {
    const wanted = new Set<string>();
    for (const { target, waiting } of this.#lines.values()) if (waiting.size > 0) wanted.add(modelKey(target.model));
    return this.#chooser.fleet(wanted);
  }

  /** One timer for all who wait for a moment to pass. */
  #pumpIn(ms: number): void {
    this.#cancelPump ??= this.#options.clock.after(ms, () => {
      this.#cancelPump = null;
      this.pump();
    });
  }

  /** Whoever is first of all: one line has no more right to a slot than another. Who cannot run now holds up nobody. */
  #pumpLines(fleet: Fleet): void {
    const open = new Set(this.#lines.values());
    for (let line = firstOf(open); line !== null; line = firstOf(open)) if (!this.#pumpOne(line, fleet)) open.delete(line);
  }

  /** True when somebody is being taken, and there may be more. */
  #pumpOne(line: Line, fleet: Fleet): boolean {
    if (line.waiting.size <= line.taking || !this.#options.isStoreUp()) return false;
    const head = this.#headOf(line);
    const placement = this.#chooser.choose(line.target, head, line.waiting.size - line.taking, fleet);
    for (const ticket of line.waiting) ticket.lastPlacement = placement;
    const { decision } = placement;
    if (decision.kind === 'run') {
      void this.#take(line, decision.candidate, placement);
      return true;
    }
    if (decision.kind === 'failing' && head) {
      this.#giveUp(head, decision.code);
      return true;
    }
    this.#prepare(decision, head);
    return false;
  }

  /** What has to be done before it can run. */
  #prepare(decision: Placement['decision'], ticket: Ticket | null): void {
    if (decision.kind === 'load') this.#options.loads.request(decision.candidate);
    if (decision.kind !== 'drain' || ticket === null || !this.#chooser.makeRoom(ticket, decision.candidate)) return;
    const { nodeId, nodeName, model } = decision.candidate;
    this.#options.log.info({ nodeId, node: nodeName, model }, 'node finishes what it runs, to load a model');
    this.#options.events.makesRoom(nodeId, model);
    // Others' lines were looked at before, perhaps, and what is idle may go at once.
    this.pump();
  }

  /** A request that may not run just anywhere must not hold up those behind it: should it be taken, it waits apart for its slot. */
  #headOf(line: Line): Ticket | null {
    return line.head((ticket) => this.#chooser.isFree(ticket)) ?? line.head();
  }

  #pumpClaimed(ticket: Ticket, fleet: Fleet): void {
    const waitMs = ticket.notBeforeMs - this.#options.clock.nowMs();
    if (waitMs > 0) {
      this.#pumpIn(waitMs);
      return;
    }
    const placement = this.#chooser.choose(ticket.target, ticket, 1, fleet);
    ticket.lastPlacement = placement;
    if (ticket.failure && this.#chooser.hasTriedAll(ticket, placement)) {
      ticket.grant?.reject(ticket.failure);
      return;
    }
    const { decision } = placement;
    if (decision.kind === 'failing') this.#giveUp(ticket, decision.code);
    else if (decision.kind === 'run') void this.#lease(ticket, decision.candidate, placement);
    else this.#prepare(decision, ticket);
  }

  /**
   * Nobody waits and a slot is free: the attempt starts now and the books (job, lease) follow, instead of the other way round. It saves
   * the round trip to Redis, with its fsync, before the first token. Only while this replica is alone: with others, Redis decides.
   */
  #startAtOnce(line: Line, ticket: Ticket, fleet: Fleet): boolean {
    const isFirst =
      line.waiting.size === 1 && line.taking === 0 && this.#claimed.size === 0 && line.probing === 0 && !this.#others.has(line);
    if (!isFirst || !this.#options.isAlone() || !this.#options.isStoreUp()) return false;
    const placement = this.#chooser.choose(line.target, ticket, 0, fleet);
    const { decision } = placement;
    if (decision.kind !== 'run') return false;
    const lease = this.#newLease(decision.candidate);
    this.#options.leases.adopt(lease);
    const grant = { lease, ...grantOf(decision.candidate, placement) };
    if (!this.accepts(ticket, grant)) {
      this.#options.leases.forget(lease);
      return false;
    }
    line.leave(ticket, null);
    this.#settle(ticket, grant);
    void this.#book(line, ticket, lease, decision.candidate);
    return true;
  }

  async #book(line: Line, ticket: Ticket, lease: Lease, { nodeSlots, modelSlots }: Candidate): Promise<void> {
    const { leases, log } = this.#options;
    const added = this.#books.jobOf(ticket);
    try {
      void leases.record({ ...lease, nodeSlots, modelSlots }).catch(() => {});
      await line.queue.add(added);
      const job = await line.queue.take(lease.id);
      if (job?.id !== added.id) {
        // Somebody else's came first; it finds a slot like every job that was taken without one.
        this.#books.remove(line, added.id);
        if (job) this.#receive(line, job, null);
        this.pump();
      } else if (ticket.state === 'left') {
        this.#books.finish(line, job, { outcome: 'end', nodeId: lease.nodeId });
      } else {
        ticket.job = job;
      }
    } catch (error) {
      log.debug({ err: error, requestId: ticket.requestId }, 'a running request has no job: Redis is away');
      this.#books.oweStarted(line, added.id, lease);
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
    this.#receive(line, job, hasLease ? { lease, ...grantOf(candidate, placement) } : null);
    return 'something';
  }

  /** A job is off the queue, whosever it is, with a slot that was claimed beside it, or without. */
  #receive(line: Line, job: TakenJob, grant: Grant | null): void {
    const ticket = this.#tickets.ofJob(job);
    if (!ticket) {
      this.#passOn(line, job, grant);
      return;
    }
    const { leases, clock } = this.#options;
    ticket.job = job;
    // It may have started at once and run already; then the slot is for the next in line.
    const isWaiting = ticket.state !== 'granted';
    if (isWaiting) line.leave(ticket, clock.nowMs());
    if (isWaiting && grant && this.accepts(ticket, grant)) {
      this.#settle(ticket, grant);
      return;
    }
    if (grant) leases.release(grant.lease);
    if (isWaiting) this.#claim(ticket);
    if (grant) this.pump();
    else this.#pumpIn(CONTESTED_MS);
  }

  /** Without a slot for it, and for jobs whose client is gone, it is finished: its origin will notice. */
  #passOn(line: Line, job: TakenJob, grant: Grant | null): void {
    const { events, leases } = this.#options;
    const { origin } = job.data;
    if (grant && origin === null) {
      events.durableJob(job, grant);
    } else if (grant && origin !== null && origin !== this.#options.replicaId && events.foreignJob(job, grant)) {
      leases.handOver(grant.lease, origin);
    } else {
      if (grant) leases.release(grant.lease);
      if (origin !== null) this.#books.finish(line, job, { outcome: 'abandoned', nodeId: null });
    }
    this.pump();
  }

  async #lease(ticket: Ticket, candidate: Candidate, placement: Placement): Promise<void> {
    const lease = this.#newLease(candidate);
    this.#claimed.delete(ticket);
    const answer = await this.#claimLease(lease, candidate).catch(() => 'full' as const);
    const grant = { lease, ...grantOf(candidate, placement) };
    if (answer === 'taken' && ticket.state === 'claimed' && this.accepts(ticket, grant)) {
      this.#settle(ticket, grant);
      return;
    }
    // Unused, so no news: with everybody told, replicas that want a node for themselves would call each other up without end.
    if (answer === 'taken') this.#options.leases.release(lease);
    if (ticket.state !== 'claimed') return;
    this.#claim(ticket);
    this.#pumpIn(CONTESTED_MS);
  }

  #claimLease(lease: Lease, { nodeSlots, modelSlots }: Candidate) {
    return this.#options.leases.claim({ ...lease, nodeSlots, modelSlots });
  }

  #newLease({ nodeId, epoch, model }: Candidate): Lease {
    return { id: this.#options.newLeaseId?.() ?? randomUUID(), nodeId, epoch, model };
  }

  #settle(ticket: Ticket, grant: Grant): void {
    ticket.state = 'granted';
    this.#active.add(ticket);
    ticket.grant?.resolve(grant);
  }

  #claim(ticket: Ticket): void {
    ticket.state = 'claimed';
    this.#chooser.end(ticket);
    if (this.#chooser.isBlocked(ticket)) {
      ticket.grant?.reject(new CodedError('request_quarantined'));
      return;
    }
    this.#claimed.add(ticket);
  }

  // In and out

  #refuse(ticket: Ticket, line: Line): void {
    if (this.#chooser.isBlocked(ticket)) throw new CodedError('request_quarantined');
    const crowd = {
      waiting: this.waiting,
      waitingForTarget: line.waiting.size,
      waitingOfKey: this.#tickets.ofKey(ticket.keyId),
      heldBytes: this.#tickets.heldBytes,
    };
    const refusal = refuseAdmission(crowd, ticket.bodyBytes, this.#limits);
    if (!refusal) return;
    const seconds = Math.ceil((line.etaMs(Math.max(1, Math.ceil(line.waiting.size / 10))) ?? 5_000) / 1_000);
    throw new CodedError(refusal.code, {
      message: refusal.message,
      retryAfterSeconds: Math.min(MOST_RETRY_AFTER_SECONDS, seconds),
    });
  }

  #expect(ticket: Ticket): Promise<Grant> {
    return expectGrant(ticket, this.#options.clock, () => this.#expire(ticket));
  }

  #expire(ticket: Ticket): void {
    this.#giveUp(ticket, 'no_capacity');
  }

  /** Nobody could take it in time, or nobody will soon. */
  #giveUp(ticket: Ticket, code: ErrorCode): void {
    const { grant, failure, lastPlacement } = ticket;
    ticket.grant = null;
    const waitMs = code === 'no_capacity' ? (this.etaMs(ticket) ?? 5_000) : FAILING_RETRY_MS;
    this.leave(ticket, { outcome: code, nodeId: null });
    const message = sentenceFor(ticket.target, lastPlacement ?? this.preview(ticket.target));
    const retryAfterSeconds = Math.min(MOST_RETRY_AFTER_SECONDS, Math.ceil(waitMs / 1_000));
    grant?.reject((code !== 'no_capacity' && failure) || new CodedError(code, { message, retryAfterSeconds }));
  }

  #entered(ticket: Ticket): void {
    this.pump();
    if (ticket.state === 'queued') this.#options.events.added(ticket.target);
  }

  // Sweep: what no event tells

  #sweep(): void {
    const { clock, isStoreUp } = this.#options;
    for (const line of this.#lines.values()) {
      for (const ticket of line.waiting) {
        if (ticket.state !== 'adding') continue;
        if (clock.nowMs() - ticket.enqueuedAtMs >= STORE_PATIENCE_MS) this.#losePatience(ticket);
        else if (isStoreUp()) void this.#books.enter(line, ticket);
      }
      if (line.isIdle && !this.#others.has(line)) this.#lines.delete(line.queue.name);
    }
    this.#turnAwayBlocked();
    if (this.#hasMissed) void this.recheck();
    this.#books.settle();
    this.pump();
  }

  /** Blocked since they came, by what copies of them did. */
  #turnAwayBlocked(): void {
    for (const ticket of this.#tickets.all())
      if (ticket.grant && this.#chooser.isBlocked(ticket)) ticket.grant.reject(new CodedError('request_quarantined'));
  }

  #losePatience(ticket: Ticket): void {
    const { grant } = ticket;
    ticket.grant = null;
    this.leave(ticket, { outcome: 'store_unavailable', nodeId: null });
    grant?.reject(new CodedError('store_unavailable', { retryAfterSeconds: 2 }));
  }

  #renewLocks(): void {
    const taken = [...this.#active, ...this.#claimed];
    this.#books.renewLocks(taken.flatMap(({ target, job }) => (job ? [[this.#lineOf(target), job] as const] : [])));
    for (const line of this.#lines.values()) line.queue.recover().catch(() => {});
  }

  #lineOf(target: Target): Line {
    const queue = this.#options.queues.of(target);
    const known = this.#lines.get(queue.name);
    if (known) return known;
    const line = new Line(queue, target, this.#share);
    this.#lines.set(queue.name, line);
    return line;
  }
}

const firstOf = (lines: ReadonlySet<Line>): Line | null => {
  let first: { readonly line: Line; readonly priority: number } | null = null;
  for (const line of lines) {
    const priority = line.nextPriority;
    if (priority !== null && (first === null || priority < first.priority)) first = { line, priority };
  }
  return first?.line ?? null;
};

/** Until a slot, as the scheduler saw it at its last look; null when it saw no way. */
const expectedMs = (placement: Placement | null): number | null => {
  const score = placement?.candidates[0]?.score;
  return score ? Math.round(score.waitMs + score.loadMs + score.evictMs) : null;
};

const grantOf = ({ nodeName, model }: Candidate, placement: Placement) => ({ nodeName, model, placement });
