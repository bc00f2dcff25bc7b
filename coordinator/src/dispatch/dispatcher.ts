import type { AttemptDeadlines, AttemptRoute, AttemptTimings, Frame } from '@lai/shared/attempt';
import { CodedError, ERRORS, type ErrorCode } from '@lai/shared/errors';
import { withoutLatest } from '@lai/shared/node';
import type { Logger } from 'pino';
import type { RunningAttempt } from '../nodes/node-session.ts';
import type { Registry } from '../nodes/registry.ts';
import type { Target } from '../routing/target.ts';
import { sentenceForNever } from '../scheduler/sentence.ts';
import { afterFailure } from './failover.ts';
import type { Figures } from './figures.ts';
import type { Matching } from './matching.ts';
import type { Grant, Ticket } from './ticket.ts';

/** Defaults of the design: a warm model's first token, a stall in the middle, the SDKs' own ten minutes. */
const FIRST_CONTENT_MS = 120_000;
const STALL_MS = 60_000;

export interface DispatchRequest {
  readonly requestId: string;
  readonly keyId: string;
  readonly route: AttemptRoute;
  readonly target: Target;
  /** The body for a node that calls the model so. */
  readonly bodyFor: (model: string) => Uint8Array;
  /** Epoch ms; no longer than this in the queue. */
  readonly queueDeadlineMs: number;
  /** Epoch ms; nothing of it runs longer. */
  readonly deadlineMs: number;
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal;
}

export interface TrailAttempt {
  readonly nodeId: string;
  readonly nodeName: string;
  readonly model: string;
  readonly startedAtMs: number;
  outcome: 'running' | 'end' | ErrorCode;
}

/** What became of a request, written while it happens; read for headers and logs. */
export interface Trail {
  readonly enqueuedAtMs: number;
  queueMs: number | null;
  attempts: TrailAttempt[];
  isCommitted: boolean;
}

export interface Answer {
  /** Prelude, content, usage, and one last frame; what a failed attempt sent before any content is never among them. */
  readonly frames: AsyncGenerator<Frame, void>;
  readonly trail: Trail;
  /** Place in the queue while it waits; null when it does not. */
  position(): number | null;
}

/**
 * The one loop in which requests are answered: get a slot, run an attempt, and if it fails before the client has seen anything, again.
 * Where the frames come from is of no interest here.
 */
export class Dispatcher {
  readonly #matching: Matching;
  readonly #registry: Registry;
  readonly #figures: Figures;
  readonly #log: Logger;

  constructor(options: { matching: Matching; registry: Registry; figures: Figures; log: Logger }) {
    this.#matching = options.matching;
    this.#registry = options.registry;
    this.#figures = options.figures;
    this.#log = options.log;
  }

  /** Throws CodedError at once for what can never be served. */
  answer(request: DispatchRequest): Answer {
    this.#refuseImpossible(request.target);
    const ticket = ticketFor(request);
    const trail: Trail = { enqueuedAtMs: ticket.enqueuedAtMs, queueMs: null, attempts: [], isCommitted: false };
    return { frames: this.#run(request, ticket, trail), trail, position: () => this.#matching.position(ticket) };
  }

  #refuseImpossible(target: Target): void {
    const placement = this.#matching.preview(target);
    const { decision } = placement;
    if (decision.kind !== 'never') return;
    const known = new Set(
      this.#registry.list().flatMap(({ snapshot }) => snapshot.models.map((model) => withoutLatest(model.id))),
    );
    const why = sentenceForNever(target, placement, [...known]);
    // Clients act on these words ("ran out of room", compaction), so the table's own sentence comes first.
    const message = decision.code === 'context_length_exceeded' ? `${ERRORS[decision.code].sentence} ${why}` : why;
    throw new CodedError(decision.code, { message, param: decision.code === 'context_length_exceeded' ? 'messages' : 'model' });
  }

  async *#run(request: DispatchRequest, ticket: Ticket, trail: Trail): AsyncGenerator<Frame, void> {
    const leave = () => this.#matching.leave(ticket, { outcome: 'canceled', nodeId: null });
    request.signal.addEventListener('abort', leave, { once: true });
    let outcome = 'canceled';
    try {
      request.signal.throwIfAborted();
      let grant = await this.#matching.admit(ticket);
      for (;;) {
        trail.queueMs ??= Date.now() - trail.enqueuedAtMs;
        const last = yield* this.#attempt(request, grant, trail);
        outcome = last.kind === 'end' ? 'end' : last.code;
        const next =
          last.kind === 'end'
            ? ({ kind: 'stop' } as const)
            : afterFailure({
                code: last.code,
                isCommitted: trail.isCommitted,
                attempts: trail.attempts.length,
                msLeft: Math.min(request.deadlineMs, request.queueDeadlineMs) - Date.now(),
              });
        if (next.kind === 'stop' || request.signal.aborted) {
          yield last;
          return;
        }
        if (next.excludesNode) ticket.tried.set(grant.lease.nodeId, grant.epoch);
        if (!next.countsAsAttempt) trail.attempts.pop();
        ticket.notBeforeMs = Date.now() + next.waitMs;
        this.#log.info(
          { requestId: request.requestId, code: outcome, node: grant.nodeName },
          'attempt failed before any content; trying again',
        );
        grant = await this.#matching.admitAgain(ticket);
      }
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      outcome = error.code;
      yield asFrame(error);
    } finally {
      request.signal.removeEventListener('abort', leave);
      this.#matching.leave(ticket, { outcome, nodeId: trail.attempts.at(-1)?.nodeId ?? null });
    }
  }

  /** One try on one node. Yields its chunks, from the first content on; returns its last frame. The slot is given back when it is free. */
  async *#attempt(
    request: DispatchRequest,
    grant: Grant,
    trail: Trail,
  ): AsyncGenerator<Frame, Exclude<Frame, { kind: 'chunk' }>> {
    const { lease } = grant;
    const record: TrailAttempt = {
      nodeId: lease.nodeId,
      nodeName: grant.nodeName,
      model: grant.model,
      startedAtMs: Date.now(),
      outcome: 'running',
    };
    trail.attempts.push(record);
    const running = this.#start(request, grant);
    if (!running) {
      this.#matching.release(lease);
      record.outcome = 'node_lost';
      return failed('node_lost');
    }
    void running.settled.then(() => this.#matching.release(lease));
    const hangUp = () => void running.frames.return?.();
    request.signal.addEventListener('abort', hangUp, { once: true });
    const prelude: Frame[] = [];
    try {
      for await (const frame of running.frames) {
        if (frame.kind !== 'chunk') {
          record.outcome = frame.kind === 'end' ? 'end' : frame.code;
          if (frame.kind === 'end') {
            this.#learn(lease.nodeId, grant.model, frame.timings);
            yield* prelude;
          }
          return frame;
        }
        if (trail.isCommitted) yield frame;
        else if (frame.chunk !== 'content') prelude.push(frame);
        else {
          trail.isCommitted = true;
          yield* prelude;
          yield frame;
        }
      }
      record.outcome = 'canceled';
      return failed('canceled');
    } finally {
      request.signal.removeEventListener('abort', hangUp);
      if (record.outcome === 'running') record.outcome = 'canceled';
    }
  }

  #start(request: DispatchRequest, grant: Grant): RunningAttempt | null {
    const session = this.#registry.session(grant.lease.nodeId);
    if (session?.epoch !== grant.epoch) return null;
    return session.startAttempt({
      attemptId: grant.lease.id,
      requestId: request.requestId,
      route: request.route,
      model: grant.model,
      body: request.bodyFor(grant.model),
      deadlines: deadlinesFor(request),
    });
  }

  #learn(nodeId: string, model: string, timings: AttemptTimings | null): void {
    if (timings) this.#figures.learn(nodeId, model, { firstContentMs: timings.firstContentMs, attemptMs: timings.totalMs });
  }
}

const ticketFor = (request: DispatchRequest): Ticket => ({
  requestId: request.requestId,
  keyId: request.keyId,
  target: request.target,
  enqueuedAtMs: Date.now(),
  deadlineMs: Math.min(request.queueDeadlineMs, request.deadlineMs),
  tried: new Map(),
  jobId: request.requestId,
  addings: 0,
  state: 'adding',
  notBeforeMs: 0,
  job: null,
  lastPlacement: null,
  grant: null,
});

const deadlinesFor = (request: DispatchRequest): AttemptDeadlines => {
  const totalMs = Math.max(1, request.deadlineMs - Date.now());
  return { firstContentMs: Math.min(FIRST_CONTENT_MS, totalMs), stallMs: Math.min(STALL_MS, totalMs), totalMs };
};

const failed = (code: ErrorCode): Extract<Frame, { kind: 'failed' }> => ({
  kind: 'failed',
  code,
  message: ERRORS[code].sentence,
});

const asFrame = ({ code, message, retryAfterSeconds }: CodedError): Frame => ({
  ...{ kind: 'failed', code, message },
  ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
});
