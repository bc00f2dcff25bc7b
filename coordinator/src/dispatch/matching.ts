import { randomUUID } from 'node:crypto';
import { CodedError } from '@lai/shared/errors';
import type { Logger } from 'pino';
import type { Registry } from '../nodes/registry.ts';
import { isUp, type LaiRedis } from '../redis/client.ts';
import type { Target } from '../routing/target.ts';
import type { FleetNode } from '../scheduler/fleet.ts';
import { type Candidate, type Placement, place } from '../scheduler/place.ts';
import { sentenceFor } from '../scheduler/sentence.ts';
import type { Figures } from './figures.ts';
import { CONTESTED_MS, type Lease, type Leases } from './leases.ts';
import { Loads } from './loads.ts';
import { type JobOutcome, type TakenJob, type TargetQueue, TargetQueues } from './queue.ts';
import type { Grant, Ticket } from './ticket.ts';

/** Covers what no event tells: cooldowns that end, wake-ups that were lost. */
const SWEEP_MS = 1_000;
/** How long a request waits for Redis to come back before it is told to come back itself. */
const REDIS_PATIENCE_MS = 2_500;
const LOCK_RENEW_MS = 10_000;

interface Line {
  readonly queue: TargetQueue;
  readonly target: Target;
  /** In the order they came; BullMQ's order decides. */
  readonly waiting: Set<Ticket>;
  /** Takes that are under way. */
  taking: number;
}

type Fleet = readonly (FleetNode & { readonly epoch: number })[];

/**
 * Brings waiting requests and free slots together: choose (scheduler/place) → claim (lease and job, in one round trip) → grant. Late
 * binding: a job belongs to nobody until a slot is free for it. Single writer of tickets and lines.
 */
export class Matching {
  readonly #redis: LaiRedis;
  readonly #registry: Registry;
  readonly #leases: Leases;
  readonly #figures: Figures;
  readonly #loads: Loads;
  readonly #queues: TargetQueues;
  readonly #log: Logger;
  readonly #tickets = new Map<string, Ticket>();
  readonly #lines = new Map<string, Line>();
  readonly #claimed = new Set<Ticket>();
  readonly #active = new Set<Ticket>();
  readonly #timers: NodeJS.Timeout[];
  #isPumpDue = false;
  #retryTimer: NodeJS.Timeout | undefined;
  #hasMissed = false;

  constructor(options: { redis: LaiRedis; registry: Registry; leases: Leases; figures: Figures; log: Logger }) {
    this.#redis = options.redis;
    this.#registry = options.registry;
    this.#leases = options.leases;
    this.#figures = options.figures;
    this.#log = options.log;
    this.#queues = new TargetQueues(options.redis);
    this.#loads = new Loads({
      registry: options.registry,
      figures: options.figures,
      onDone: () => this.#pumpSoon(),
      log: options.log,
    });
    options.registry.onChange(() => this.#pumpSoon());
    options.redis.on('ready', () => void this.recheck());
    this.#timers = [setInterval(() => this.#sweep(), SWEEP_MS), setInterval(() => this.#renewLocks(), LOCK_RENEW_MS)];
  }

  get waiting(): number {
    return this.#tickets.size - this.#active.size;
  }

  get running(): number {
    return this.#active.size;
  }

  /** What would happen to a request of this target now. */
  preview(target: Target): Placement {
    return this.#place(target, NOBODY, 0);
  }

  /** Enters the queue. Resolves with a slot; rejects with CodedError when the deadline passes, Redis stays away or `leave` is called. */
  admit(ticket: Ticket): Promise<Grant> {
    const granted = this.#expect(ticket);
    this.#tickets.set(ticket.requestId, ticket);
    const line = this.#lineOf(ticket.target);
    line.waiting.add(ticket);
    void this.#add(line, ticket);
    // In the same tick, so that taking travels right behind adding.
    this.#pumpLine(line, this.#fleet());
    return granted;
  }

  /** After a failed attempt: its job is still ours, so it waits for a slot only, before everybody in the queues. */
  admitAgain(ticket: Ticket): Promise<Grant> {
    const granted = this.#expect(ticket);
    this.#active.delete(ticket);
    this.#claim(ticket);
    this.#pumpSoon();
    return granted;
  }

  /** The request is over, however it went; takes it from wherever it is. */
  leave(ticket: Ticket, outcome: JobOutcome): void {
    if (ticket.state === 'left') return;
    const { state } = ticket;
    ticket.state = 'left';
    ticket.grant?.reject(new CodedError('canceled'));
    ticket.grant = null;
    this.#tickets.delete(ticket.requestId);
    this.#claimed.delete(ticket);
    this.#active.delete(ticket);
    const line = this.#lineOf(ticket.target);
    line.waiting.delete(ticket);
    if (ticket.job) this.#finish(line, ticket.job.job, ticket.job.token, outcome);
    else if (state === 'queued' || state === 'adding') line.queue.remove(ticket.jobId).catch(() => {});
  }

  /** The slot is free again. */
  release(lease: Lease): void {
    this.#leases.release(lease);
    this.#pumpSoon();
  }

  /**
   * Redis was away or has forgotten: whatever waits here but not there is put there again. A take whose answer was lost has left its job
   * taken by nobody; that one runs into its lock's end, and the request gets a new one.
   */
  async recheck(): Promise<void> {
    if (!isUp(this.#redis)) return;
    await Promise.all(
      [...this.#lines.values()].flatMap((line) => [...line.waiting].map((ticket) => this.#recheckTicket(line, ticket))),
    );
    this.#pumpSoon();
  }

  /** 1 for the next in line; null when it does not wait in a queue. */
  position(ticket: Ticket): number | null {
    if (ticket.state === 'claimed') return 1;
    const index = [...this.#lineOf(ticket.target).waiting].indexOf(ticket);
    return index === -1 ? null : index + 1;
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    clearTimeout(this.#retryTimer);
  }

  #expect(ticket: Ticket): Promise<Grant> {
    const { promise, resolve, reject } = Promise.withResolvers<Grant>();
    ticket.grant = { resolve, reject };
    const timer = setTimeout(() => this.#expire(ticket), Math.max(0, ticket.deadlineMs - Date.now()));
    const settle = () => {
      clearTimeout(timer);
      ticket.grant = null;
    };
    promise.then(settle, settle);
    return promise;
  }

  async #add(line: Line, ticket: Ticket): Promise<void> {
    const { requestId, keyId, target, deadlineMs, jobId } = ticket;
    try {
      await line.queue.add(jobId, { requestId, keyId, target, deadlineMs }, 0);
    } catch (error) {
      this.#log.debug({ err: error, requestId }, 'job not added yet');
      return; // swept up until Redis is back or patience ends
    }
    if (ticket.state === 'left') line.queue.remove(jobId).catch(() => {});
    if (ticket.state === 'adding') ticket.state = 'queued';
    this.#pumpSoon();
  }

  // Pump: choose and claim, for as long as there is something to choose

  #pumpSoon(): void {
    if (this.#isPumpDue || this.#tickets.size === this.#active.size) return;
    this.#isPumpDue = true;
    queueMicrotask(() => {
      this.#isPumpDue = false;
      const fleet = this.#fleet();
      for (const ticket of this.#claimed) this.#pumpClaimed(ticket, fleet);
      for (const line of this.#lines.values()) this.#pumpLine(line, fleet);
    });
  }

  /** One timer for all who wait for a moment to pass. */
  #pumpIn(ms: number): void {
    this.#retryTimer ??= setTimeout(() => {
      this.#retryTimer = undefined;
      this.#pumpSoon();
    }, ms);
  }

  #pumpLine(line: Line, fleet: Fleet): void {
    while (line.waiting.size > line.taking && isUp(this.#redis)) {
      const placement = this.#place(line.target, NOBODY, line.waiting.size - line.taking, fleet);
      for (const ticket of line.waiting) ticket.lastPlacement = placement;
      const { decision } = placement;
      if (decision.kind === 'load') this.#loads.request(decision.candidate);
      if (decision.kind !== 'run') return;
      void this.#take(line, decision.candidate);
    }
  }

  #pumpClaimed(ticket: Ticket, fleet: Fleet): void {
    const waitMs = ticket.notBeforeMs - Date.now();
    if (waitMs > 0 || !isUp(this.#redis)) {
      this.#pumpIn(Math.max(CONTESTED_MS, waitMs));
      return;
    }
    const placement = this.#place(ticket.target, ticket.tried, 1, fleet);
    ticket.lastPlacement = placement;
    const { decision } = placement;
    if (decision.kind === 'load') this.#loads.request(decision.candidate);
    if (decision.kind === 'run') void this.#lease(ticket, decision.candidate);
  }

  #place(target: Target, tried: ReadonlyMap<string, number>, queued: number, fleet = this.#fleet()): Placement {
    const excluded = new Set(fleet.filter((node) => tried.get(node.nodeId) === node.epoch).map((node) => node.nodeId));
    return place({ target, nodes: fleet, excluded, queued, nowMs: Date.now() });
  }

  #fleet(): Fleet {
    const leases = this.#leases;
    return this.#registry.list().map((record) => ({
      ...record,
      // Read when asked, since each claim of a pump changes it.
      get leased() {
        return leases.taken(record.nodeId);
      },
      isContested: (model) => this.#leases.isContested(record.nodeId, model),
      loading: this.#loads.on(record.nodeId),
      loadBarredUntilMs: this.#loads.barredUntilMs(record.nodeId),
      figures: (model) => this.#figures.of(record.nodeId, model),
    }));
  }

  /** Claims a slot and the first job in line, side by side; gives back whichever has no use for the other. */
  async #take(line: Line, candidate: Candidate): Promise<void> {
    const lease = { id: randomUUID(), nodeId: candidate.nodeId, model: candidate.model };
    line.taking += 1;
    const [claimed, taken] = await Promise.allSettled([this.#claimLease(lease, candidate), line.queue.take(lease.id)]);
    line.taking -= 1;
    const hasLease = claimed.status === 'fulfilled' && claimed.value === 'taken';
    const job = taken.status === 'fulfilled' ? taken.value : undefined;
    const ticket = this.#ticketOf(job);
    if (job && !ticket) this.#finish(line, job, lease.id, { outcome: 'abandoned', nodeId: null });
    if (!job || !ticket) {
      // Somebody waits here and nobody there: to be looked at, unless it happens to be on its way.
      if (!job && line.waiting.size > 0) this.#hasMissed = true;
      if (hasLease) this.#leases.release(lease);
      if (job) this.#pumpSoon();
      return;
    }
    ticket.job = { job, token: lease.id };
    line.waiting.delete(ticket);
    if (hasLease) {
      this.#grant(ticket, lease, candidate);
    } else {
      this.#claim(ticket);
      this.#pumpIn(CONTESTED_MS);
    }
  }

  async #lease(ticket: Ticket, candidate: Candidate): Promise<void> {
    const lease = { id: randomUUID(), nodeId: candidate.nodeId, model: candidate.model };
    this.#claimed.delete(ticket);
    const answer = await this.#claimLease(lease, candidate).catch(() => 'full' as const);
    if (answer !== 'taken') {
      if (ticket.state !== 'left') this.#claim(ticket);
      this.#pumpIn(CONTESTED_MS);
    } else if (ticket.state === 'left') {
      this.release(lease);
    } else {
      this.#grant(ticket, lease, candidate);
    }
  }

  #ticketOf(job: TakenJob | undefined): Ticket | undefined {
    const ticket = job && this.#tickets.get(job.data.requestId);
    return ticket?.jobId === job?.id ? ticket : undefined;
  }

  #claimLease(lease: Lease, { nodeId, model, epoch }: Candidate) {
    const snapshot = this.#registry.list().find((record) => record.nodeId === nodeId)?.snapshot;
    const modelSlots = snapshot?.models.find((entry) => entry.id === model)?.slots ?? 0;
    return this.#leases.claim({ ...lease, epoch, nodeSlots: snapshot?.maxConcurrent ?? 0, modelSlots });
  }

  #grant(ticket: Ticket, lease: Lease, { nodeName, epoch, model }: Candidate): void {
    ticket.state = 'granted';
    this.#active.add(ticket);
    ticket.grant?.resolve({ lease, nodeName, epoch, model });
  }

  #claim(ticket: Ticket): void {
    ticket.state = 'claimed';
    this.#claimed.add(ticket);
  }

  #finish(line: Line, job: TakenJob, token: string, outcome: JobOutcome): void {
    line.queue.complete(job, token, outcome).catch((error: unknown) => {
      // Its lock expires, and BullMQ's own check then clears it away.
      this.#log.debug({ err: error, jobId: job.id }, 'job not marked as finished');
    });
  }

  #expire(ticket: Ticket): void {
    const { grant, lastPlacement } = ticket;
    ticket.grant = null;
    this.leave(ticket, { outcome: 'no_capacity', nodeId: null });
    const why = sentenceFor(ticket.target, lastPlacement ?? this.preview(ticket.target));
    grant?.reject(new CodedError('no_capacity', { message: why, retryAfterSeconds: 5 }));
  }

  // Sweep: what no event tells

  #sweep(): void {
    const nowMs = Date.now();
    for (const line of this.#lines.values()) {
      for (const ticket of line.waiting) {
        if (ticket.state !== 'adding' || nowMs - ticket.enqueuedAtMs < REDIS_PATIENCE_MS) continue;
        const { grant } = ticket;
        ticket.grant = null;
        this.leave(ticket, { outcome: 'store_unavailable', nodeId: null });
        grant?.reject(new CodedError('store_unavailable', { retryAfterSeconds: 2 }));
      }
    }
    if (isUp(this.#redis))
      for (const line of this.#lines.values())
        for (const ticket of line.waiting) if (ticket.state === 'adding') void this.#add(line, ticket);
    if (this.#hasMissed) void this.recheck();
    this.#pumpSoon();
  }

  async #recheckTicket(line: Line, ticket: Ticket): Promise<void> {
    this.#hasMissed = false;
    try {
      if (ticket.state === 'queued' && (await line.queue.isInLine(ticket.jobId))) return;
    } catch {
      return; // away again; it will be looked at again
    }
    if (ticket.state !== 'queued' && ticket.state !== 'adding') return;
    ticket.addings += 1;
    ticket.jobId = `${ticket.requestId}-${ticket.addings}`;
    ticket.state = 'adding';
    await this.#add(line, ticket);
  }

  #renewLocks(): void {
    const byLine = new Map<Line, { id: string; token: string }[]>();
    for (const ticket of [...this.#active, ...this.#claimed]) {
      if (!ticket.job?.job.id) continue;
      const line = this.#lineOf(ticket.target);
      byLine.set(line, [...(byLine.get(line) ?? []), { id: ticket.job.job.id, token: ticket.job.token }]);
    }
    for (const [line, jobs] of byLine) line.queue.renew(jobs).catch(() => {});
  }

  #lineOf(target: Target): Line {
    const queue = this.#queues.of(target);
    const known = this.#lines.get(queue.name);
    if (known) return known;
    const line: Line = { queue, target, waiting: new Set(), taking: 0 };
    this.#lines.set(queue.name, line);
    return line;
  }
}

const NOBODY: ReadonlyMap<string, number> = new Map();
