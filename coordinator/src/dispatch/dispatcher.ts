import { hash } from 'node:crypto';
import type { AttemptDeadlines, AttemptRoute, Frame } from '@lai/shared/attempt';
import { CodedError, ERRORS, type ErrorCode } from '@lai/shared/errors';
import { withoutLatest } from '@lai/shared/model-name';
import type { Logger } from 'pino';
import type { Outcome, Reach, RunningAttempt } from '../nodes/node-session.ts';
import type { Affinity as ConversationNames } from '../routing/affinity.ts';
import type { Target } from '../routing/target.ts';
import type { PriorityClass } from '../scheduler/fairness.ts';
import type { Placement } from '../scheduler/place.ts';
import { readingMs } from '../scheduler/score.ts';
import { sentenceForNever } from '../scheduler/sentence.ts';
import type { Affinity } from './affinity.ts';
import type { Clock } from './clock.ts';
import type { Cooldowns } from './cooldowns.ts';
import { afterFailure } from './failover.ts';
import { type Figures, sampleOf } from './figures.ts';
import type { TakenJob } from './job-queue.ts';
import type { Loads } from './loads.ts';
import type { Matching } from './matching.ts';
import type { NodeLink, Nodes } from './nodes.ts';
import type { Quarantine } from './quarantine.ts';
import { RetryBudget } from './retry-budget.ts';
import { type Grant, newTicket, type Ticket, type TicketRequest } from './ticket.ts';

/** A node that has not taken a request within this is given up for another one. */
const ACCEPT_MS = 750;
/** With no other one it is worth waiting for: long enough to know by its pings whether it is dead. */
const LAST_ACCEPT_MS = 3_000;
/**
 * A warm model's first token comes within this, or within a multiple of what it usually takes. Longer prompts have longer, whatever was
 * learned of reading: where an engine does not tell what it had in its cache, that looks faster than it is.
 */
const FIRST_CONTENT_MS = 30_000;
const FIRST_CONTENT_FACTOR = 8;
const SLOWEST_READING_MS_PER_TOKEN = 5;
/** Silence of a warm model that says something about its node when a client had no more patience than that. */
const SILENT_MS = 3_000;
/** Nothing learned yet, or not of prompts as long as this one: the engine may be loading the model behind our back, or reading. */
const FIRST_CONTENT_UNKNOWN_MS = 120_000;
const STALL_MS = 60_000;
/** Thousands of embeddings, or a long recording, on a slow machine. */
const WHOLE_ANSWER_MS = 15 * 60_000;
/** A node that has not ended an attempt so long after its deadline will not. */
const DEADLINE_GRACE_MS = 500;
/** Of an answer that is collected: as much as an agent reads of an answer that comes in one piece. */
const COLLECTED_BYTES = 64 * 1024 * 1024;
/** An answer of this size is always collected; what larger ones hold beyond it is bounded for all of them together. */
const SMALL_ANSWER_BYTES = 4 * 1024 * 1024;
const LARGE_ANSWERS_BYTES = 128 * 1024 * 1024;
/** News that a node has died come this much later from another replica. */
const NEWS_MS = 1_000;
/** After this the record of a node whose owner died is gone everywhere. */
const CERTAIN_MS = 25_000;

export interface DispatchRequest {
  readonly requestId: string;
  readonly keyId: string;
  readonly route: AttemptRoute;
  readonly target: Target;
  /** The body for a node that calls the model so. */
  readonly bodyFor: (model: string) => Uint8Array;
  readonly priorityClass?: PriorityClass;
  readonly weight?: number;
  /** What names the conversation; see dispatch/affinity.ts. */
  readonly affinity?: ConversationNames | null;
  /** Epoch ms; no longer than this in the queue. */
  readonly queueDeadlineMs: number;
  /** Epoch ms; nothing of it runs longer. */
  readonly deadlineMs: number;
  /** Nothing of the answer is shown to anybody before its end, so until then another node may still answer instead. */
  readonly isCollected?: boolean;
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal;
}

export interface TrailAttempt {
  /** Set when a provider was asked, and no node. */
  readonly providerId?: string;
  readonly nodeId: string;
  readonly nodeName: string;
  readonly model: string;
  readonly startedAtMs: number;
  readonly placement: Placement | null;
  outcome: 'running' | Outcome;
  /** Nothing of an answer has come. */
  isSilent: boolean;
}

/** Which way a request was sent; written by route-loop.ts alone. */
export interface RouteTrail {
  readonly asked: string;
  readonly because: string;
  /** Steps that were not tried, or were left without an answer, in order. */
  readonly left: { readonly step: string; readonly reason: string; readonly detail: string }[];
  /** The step that is being tried, or that answered. */
  step: string | null;
}

/** What became of a request, written while it happens; read for headers, logs and `lai explain`. */
export interface Trail {
  readonly enqueuedAtMs: number;
  /** The steps it could take, and what became of those that were tried; absent where there was nothing to choose. */
  readonly route?: RouteTrail;
  queueMs: number | null;
  attempts: TrailAttempt[];
  isCommitted: boolean;
}

export const newTrail = (enqueuedAtMs: number, route?: RouteTrail): Trail => ({
  ...(route ? { route } : {}),
  ...{ enqueuedAtMs, queueMs: null, attempts: [], isCommitted: false },
});

/** How one step, or the whole of a request without steps, ended. */
export interface StepEnded {
  readonly outcome: string;
  readonly lastPlacement: Placement | null;
}

export interface Answer {
  /** Prelude, content, usage, and one last frame; what a failed attempt sent before any content is never among them. */
  readonly frames: AsyncGenerator<Frame, void>;
  readonly trail: Trail;
  /** Place in the queue while it waits, and how long that may take; null when it does not wait or nothing is known. */
  waiting(): { readonly position: number; readonly etaMs: number | null } | null;
}

/** A request that is over, with all that is known of how it went. */
export interface DispatchedRequest {
  readonly request: DispatchRequest;
  readonly trail: Trail;
  readonly outcome: string;
  readonly endedAtMs: number;
  /** The last look at the fleet before it got a slot, or gave up. */
  readonly lastPlacement: Placement | null;
}

export interface DispatcherOptions {
  readonly matching: Matching;
  readonly nodes: Nodes;
  readonly figures: Figures;
  readonly cooldowns: Cooldowns;
  readonly quarantine: Quarantine;
  readonly affinity: Affinity;
  readonly loads: Loads;
  readonly clock: Clock;
  /** Told of every request when it is over. */
  readonly onEnded?: (request: DispatchedRequest) => void;
  readonly log: Logger;
}

type Ending = Exclude<Frame, { kind: 'chunk' }>;

/**
 * The one loop in which requests are answered: get a slot, run an attempt, and if it fails before the client has seen anything, again.
 * Where the frames come from is of no interest here.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #budget: RetryBudget;
  /** What collected answers hold beyond SMALL_ANSWER_BYTES each. */
  #largeBytes = 0;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#budget = new RetryBudget(() => options.matching.running + options.matching.waiting);
  }

  /** Throws CodedError at once for what can never be served. */
  answer(request: DispatchRequest, route?: RouteTrail): Answer {
    this.#refuseImpossible(request, route);
    return this.#answer(request, null, route);
  }

  /**
   * One step of a route that has several: the request's attempts on the fleet, written into a trail that all steps share. `over` is called
   * once, before the generator ends.
   */
  step(request: DispatchRequest, trail: Trail, over: (ended: StepEnded) => void): Omit<Answer, 'trail'> {
    const impossible = this.#impossible(request.target);
    if (impossible) {
      over({ outcome: impossible.error.code, lastPlacement: impossible.placement });
      return { frames: onlyFrame(asFrame(impossible.error)), waiting: () => null };
    }
    const ticket = newTicket(ticketRequestOf(request), this.#options.clock.nowMs());
    return { frames: this.#run(request, ticket, trail, null, over), waiting: () => this.#waiting(ticket) };
  }

  /** A request for which a job was taken and a slot found already. */
  answerGranted(request: DispatchRequest, job: TakenJob, grant: Grant): Answer {
    return this.#answer(request, { job, grant });
  }

  #answer(request: DispatchRequest, granted: { job: TakenJob; grant: Grant } | null, route?: RouteTrail): Answer {
    const { matching, clock } = this.#options;
    const ticket = newTicket(ticketRequestOf(request), clock.nowMs());
    if (granted) matching.admitGranted(ticket, granted.job, granted.grant);
    const trail = newTrail(ticket.enqueuedAtMs, route);
    const over = ({ outcome, lastPlacement }: StepEnded) => this.ended(request, trail, outcome, lastPlacement);
    return {
      frames: this.#run(request, ticket, trail, granted?.grant ?? null, over),
      trail,
      waiting: () => this.#waiting(ticket),
    };
  }

  #waiting(ticket: Ticket): ReturnType<Answer['waiting']> {
    const position = this.#options.matching.position(ticket);
    return position === null ? null : { position, etaMs: this.#options.matching.etaMs(ticket) };
  }

  /** Tells of a request that is over, once. */
  ended(request: DispatchRequest, trail: Trail, outcome: string, lastPlacement: Placement | null): void {
    this.#options.onEnded?.({ request, trail, outcome, endedAtMs: this.#options.clock.nowMs(), lastPlacement });
  }

  /** Throws CodedError for a target that no node of the fleet will ever serve, nodes that are away included. */
  refuseTarget(target: Target): void {
    const impossible = this.#impossible(target);
    if (impossible) throw impossible.error;
  }

  #refuseImpossible(request: DispatchRequest, route?: RouteTrail): void {
    const impossible = this.#impossible(request.target);
    if (!impossible) return;
    const { error, placement } = impossible;
    this.ended(request, newTrail(this.#options.clock.nowMs(), route), error.code, placement);
    throw error;
  }

  /** Why no connected node will ever serve the target; null when one may. */
  #impossible(target: Target): { readonly error: CodedError; readonly placement: Placement } | null {
    const placement = this.#options.matching.preview(target);
    const { decision } = placement;
    if (decision.kind !== 'never') return null;
    const known = new Set(
      this.#options.nodes
        .list()
        .flatMap(({ snapshot }) =>
          snapshot.models.flatMap(({ id, capabilities }) => (capabilities.length > 0 ? withoutLatest(id) : [])),
        ),
    );
    const why = sentenceForNever(target, placement, [...known]);
    // Clients act on these words ("ran out of room", compaction), so the table's own sentence comes first.
    const isTooLong = decision.code === 'context_length_exceeded';
    const error = new CodedError(decision.code, {
      message: isTooLong ? `${ERRORS[decision.code].sentence} ${why}` : why,
      param: isTooLong ? 'messages' : 'model',
    });
    return { error, placement };
  }

  async *#run(
    request: DispatchRequest,
    ticket: Ticket,
    trail: Trail,
    granted: Grant | null,
    over: (ended: StepEnded) => void,
  ): AsyncGenerator<Frame, void> {
    const { matching, clock } = this.#options;
    const leave = () => matching.leave(ticket, { outcome: 'canceled', nodeId: null });
    request.signal.addEventListener('abort', leave, { once: true });
    let outcome = 'canceled';
    let retryOver = () => {};
    try {
      if (request.signal.aborted) {
        if (granted) matching.release(granted.lease);
        throw new CodedError('canceled');
      }
      let grant = granted ? await this.#checked(ticket, granted) : await matching.admit(ticket);
      for (;;) {
        trail.queueMs ??= clock.nowMs() - trail.enqueuedAtMs;
        const last = yield* this.#attempt(request, ticket, grant, trail);
        outcome = last.kind === 'end' ? 'end' : last.code;
        retryOver();
        retryOver = () => {};
        const next = last.kind === 'end' ? STOP : this.#next(request, trail, this.#meaningOf(last, grant));
        const needsBudget = next.kind === 'again' && next.needsBudget && last !== NOTHING;
        const place = needsBudget ? this.#budget.take() : retryOver;
        if (next.kind === 'stop' || place === null || request.signal.aborted) {
          place?.();
          yield last;
          return;
        }
        retryOver = place;
        if (next.excludesNode) {
          ticket.tried.set(grant.lease.nodeId, grant.lease.epoch);
          if (last.kind === 'failed') ticket.failure = asError(last);
        }
        if (!next.countsAsAttempt) trail.attempts.pop();
        ticket.notBeforeMs = clock.nowMs() + next.waitMs;
        this.#options.log.info(
          { requestId: request.requestId, code: outcome, node: grant.nodeName },
          'attempt failed before anything was shown; trying again',
        );
        grant = await matching.admitAgain(ticket);
      }
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      outcome = error.code;
      yield asFrame(error);
    } finally {
      retryOver();
      request.signal.removeEventListener('abort', leave);
      matching.leave(ticket, { outcome, nodeId: trail.attempts.at(-1)?.nodeId ?? null });
      over({ outcome, lastPlacement: ticket.lastPlacement });
    }
  }

  /** The slot that came with a request, or a better one, should it be wrong for what this request turns out to be. */
  async #checked(ticket: Ticket, granted: Grant): Promise<Grant> {
    const { matching } = this.#options;
    if (matching.accepts(ticket, granted)) return granted;
    const another = matching.admitAgain(ticket);
    matching.release(granted.lease);
    return another;
  }

  /** A model that had just been sent away for another one, which the node had not told of yet, is to be loaded again. */
  #meaningOf(last: Extract<Ending, { kind: 'failed' }>, { lease: { nodeId, model } }: Grant): ErrorCode {
    if (last === GONE) return 'node_busy';
    const isChance = last.code === 'out_of_memory' && !this.#options.loads.isClear(nodeId, model);
    return isChance ? 'model_loading' : last.code;
  }

  #next(request: DispatchRequest, trail: Trail, code: ErrorCode) {
    return afterFailure({
      code,
      isCommitted: trail.isCommitted,
      attempts: trail.attempts.length,
      msLeft: Math.min(request.deadlineMs, request.queueDeadlineMs) - this.#options.clock.nowMs(),
    });
  }

  /** One try on one node, which Matching has told the quarantine of. Yields its chunks, from the first content on; returns its last frame. The slot is given back when it is free. */
  async *#attempt(request: DispatchRequest, ticket: Ticket, grant: Grant, trail: Trail): AsyncGenerator<Frame, Ending> {
    const { matching, quarantine, clock } = this.#options;
    const { lease } = grant;
    const record: TrailAttempt = {
      nodeId: lease.nodeId,
      nodeName: grant.nodeName,
      model: grant.model,
      startedAtMs: clock.nowMs(),
      placement: grant.placement,
      outcome: 'running',
      isSilent: true,
    };
    trail.attempts.push(record);
    const link = this.#options.nodes.link(lease.nodeId);
    if (!link || link.epoch !== lease.epoch) {
      matching.release(lease);
      quarantine.ended(ticket.fingerprint, lease.nodeId, '', 'canceled');
      record.outcome = GONE.code;
      return GONE;
    }
    const running = link.startAttempt({
      attemptId: lease.id,
      requestId: request.requestId,
      route: request.route,
      model: grant.model,
      body: request.bodyFor(grant.model),
      deadlines: this.#deadlinesFor(request, lease),
      ...(request.target.overridesGaming ? { isForced: true as const } : {}),
      acceptMs: this.#isTheOnlyOne(request, grant) ? LAST_ACCEPT_MS : ACCEPT_MS,
    });
    void running.settled.then(() => matching.release(lease));
    try {
      const last = yield* this.#relay(request, running, trail, record);
      record.outcome = last.kind === 'end' ? 'end' : last.code;
      if (last.kind === 'end') this.#learn(ticket, lease, last);
      return last;
    } finally {
      if (record.outcome === 'running') record.outcome = 'canceled';
      this.#options.cooldowns.record(lease.nodeId, lease.model, this.#troubleOf(request, lease, record, running.reach()));
      const { outcome } = record;
      const end = (how: Outcome) => {
        const fate = this.#fate(lease.nodeId, link, how);
        quarantine.ended(ticket.fingerprint, lease.nodeId, link.instanceId, fate, running.reach());
        if (how === 'node_lost') clock.after(CERTAIN_MS, () => this.#acquit(lease.nodeId, link));
      };
      // Where we turned away, the node may still be at it, and may still die of it; or has, and the news is on its way.
      if (TURNED_AWAY.has(outcome))
        void running.settled.then((last) => (last === 'node_lost' ? end(last) : clock.after(NEWS_MS, () => end(last))));
      else end(outcome);
    }
  }

  /**
   * A node that took a request and was silent until the client's own deadline counts as one that produced nothing in time, if that was
   * longer than the model needs there: otherwise clients with short deadlines could have nodes rested.
   */
  #troubleOf(request: DispatchRequest, { nodeId, model }: Grant['lease'], record: TrailAttempt, reach: Reach): Outcome {
    const outcome = record.outcome === 'running' ? 'canceled' : record.outcome;
    if (outcome !== 'deadline_exceeded' || !record.isSilent || reach !== 'node' || !SPOKEN.has(request.route)) return outcome;
    const figures = this.#options.figures.of(nodeId, model);
    const expectedMs = Math.max(figures.firstContentMs ?? 0, readingMs(figures, request.target.contextTokens));
    const leastMs = SILENT_MS + request.target.contextTokens * SLOWEST_READING_MS_PER_TOKEN;
    const silentMs = this.#options.clock.nowMs() - record.startedAtMs;
    return silentMs >= Math.max(leastMs, FIRST_CONTENT_FACTOR * expectedMs) ? 'first_token_timeout' : outcome;
  }

  /** What an attempt's ending says about its engine. A node that is back already, with the same process, has not died. */
  #fate(nodeId: string, { epoch, instanceId }: NodeLink, outcome: Outcome): Outcome {
    const now = this.#options.nodes.link(nodeId);
    if (outcome === 'node_lost') return now && now.epoch !== epoch && now.instanceId === instanceId ? 'canceled' : outcome;
    return TURNED_AWAY.has(outcome) && now?.instanceId !== instanceId ? 'node_lost' : outcome;
  }

  /** Still connected as it was: only the way to it, over another replica, was broken. It will never return, since it never left. */
  #acquit(nodeId: string, { epoch, instanceId }: NodeLink): void {
    const isAlive = this.#options.nodes.list().some((node) => node.nodeId === nodeId && node.liveness !== 'dead');
    if (isAlive && this.#options.nodes.link(nodeId)?.epoch === epoch) this.#options.quarantine.nodeReturned(nodeId, instanceId);
  }

  /** Holds back what precedes the first content, or all: until it is shown another node may still answer instead. */
  async *#relay(
    request: DispatchRequest,
    running: RunningAttempt,
    trail: Trail,
    record: TrailAttempt,
  ): AsyncGenerator<Frame, Ending> {
    const { clock } = this.#options;
    let code: ErrorCode = 'canceled';
    const hangUp = () => void running.frames.return?.();
    const runOut = () => {
      code = 'deadline_exceeded';
      hangUp();
    };
    // The node ends it itself and can say more; this is for when it is not heard any more.
    const disarm = clock.after(Math.max(0, request.deadlineMs - clock.nowMs()) + DEADLINE_GRACE_MS, runOut);
    if (request.signal.aborted) hangUp();
    request.signal.addEventListener('abort', hangUp, { once: true });
    const held: Frame[] = [];
    let heldBytes = 0;
    try {
      for await (const frame of running.frames) {
        if (frame.kind === 'chunk') record.isSilent = false;
        if (frame.kind === 'chunk' && !trail.isCommitted && (frame.chunk !== 'content' || request.isCollected)) {
          held.push(frame);
          this.#largeBytes -= beyondSmall(heldBytes);
          heldBytes += frame.bytes.length;
          this.#largeBytes += beyondSmall(heldBytes);
          if (heldBytes > COLLECTED_BYTES) return TOO_LARGE;
          if (heldBytes > SMALL_ANSWER_BYTES && this.#largeBytes > LARGE_ANSWERS_BYTES) return TOO_MANY_LARGE;
          continue;
        }
        if (frame.kind === 'failed') return frame;
        // An ending without an answer is none, whatever the node calls it.
        if (frame.kind === 'end' && !trail.isCommitted && held.every(isUsage)) return NOTHING;
        if (!trail.isCommitted) {
          trail.isCommitted = frame.kind === 'chunk';
          yield* held;
        }
        if (frame.kind === 'end') return frame;
        yield frame;
      }
      return failed(code);
    } finally {
      this.#largeBytes -= beyondSmall(heldBytes);
      disarm();
      request.signal.removeEventListener('abort', hangUp);
    }
  }

  #learn({ affinity }: Ticket, { nodeId, model }: Grant['lease'], { timings, usage }: Extract<Frame, { kind: 'end' }>): void {
    if (affinity.length > 0) this.#options.affinity.remember(affinity, nodeId);
    if (timings) this.#options.figures.learn(nodeId, model, sampleOf(timings, usage));
  }

  #isTheOnlyOne({ target }: DispatchRequest, { lease, placement }: Grant): boolean {
    const { candidates, refusals } = placement ?? this.#options.matching.preview(target);
    // Who has a rest would be asked next all the same.
    const resting = refusals.filter(({ reason }) => reason === 'cooling');
    return [...candidates, ...resting].every(({ nodeId }) => nodeId === lease.nodeId);
  }

  #deadlinesFor(request: DispatchRequest, { nodeId, model }: Grant['lease']): AttemptDeadlines {
    const totalMs = Math.max(1, request.deadlineMs - this.#options.clock.nowMs());
    // What comes in one piece has its first content at its end.
    const wholeMs = Math.min(WHOLE_ANSWER_MS, totalMs);
    if (!SPOKEN.has(request.route)) return { firstContentMs: wholeMs, stallMs: wholeMs, totalMs };
    const figures = this.#options.figures.of(nodeId, model);
    const expectedMs = Math.max(figures.firstContentMs ?? 0, readingMs(figures, request.target.contextTokens));
    const isUnknown =
      figures.firstContentMs === null || (request.target.contextTokens > 0 && figures.prefillTokensPerSecond === null);
    const leastMs =
      (isUnknown ? FIRST_CONTENT_UNKNOWN_MS : FIRST_CONTENT_MS) + request.target.contextTokens * SLOWEST_READING_MS_PER_TOKEN;
    const firstContentMs = Math.max(leastMs, Math.ceil(FIRST_CONTENT_FACTOR * expectedMs));
    return { firstContentMs: Math.min(firstContentMs, totalMs), stallMs: Math.min(STALL_MS, totalMs), totalMs };
  }
}

/** The body is made once to be measured and named; another model's name in it would not make it another request. */
const ticketRequestOf = (request: DispatchRequest): TicketRequest => {
  const { requestId, keyId, target, affinity, queueDeadlineMs, deadlineMs } = request;
  const body = request.bodyFor(target.model);
  return {
    ...{ requestId, keyId, target },
    priorityClass: request.priorityClass ?? 'interactive',
    weight: request.weight ?? 1,
    bodyBytes: body.length,
    fingerprint: hash('sha1', body, 'base64'),
    // Of this model: a client that asks a small one for titles has its conversation with a large one, perhaps elsewhere.
    affinity: [affinity?.session, affinity?.prefix].flatMap((name) => (name ? [`${target.model}\n${name}`] : [])),
    deadlineMs: Math.min(queueDeadlineMs, deadlineMs),
  };
};

/** Routes whose answers come token by token. */
const SPOKEN: ReadonlySet<AttemptRoute> = new Set(['chat.completions', 'completions']);

const STOP = { kind: 'stop' } as const;

/** Endings that the coordinator made, not the node. */
const TURNED_AWAY: ReadonlySet<Outcome> = new Set(['canceled', 'deadline_exceeded', 'accept_timeout']);

const failed = (code: ErrorCode): Extract<Frame, { kind: 'failed' }> => ({
  kind: 'failed',
  code,
  message: ERRORS[code].sentence,
});

const isUsage = (frame: Frame): boolean => frame.kind === 'chunk' && frame.chunk === 'usage';

/** The node ended its answer without one. It cost nothing, so trying again elsewhere takes nothing from the retry budget. */
const NOTHING = failed('incomplete_answer');

const beyondSmall = (bytes: number): number => Math.max(0, bytes - SMALL_ANSWER_BYTES);

const TOO_MANY_LARGE = {
  ...failed('queue_full'),
  message: 'Answers that are not streamed hold as much memory as they may. Ask for a stream, or try again in a moment.',
} as const;

const TOO_LARGE = {
  ...failed('engine_error'),
  message: `The answer is larger than the ${COLLECTED_BYTES / 1024 / 1024} MiB that Lai keeps of an answer that is not streamed. Ask for a stream, or for less.`,
} as const;

/** Granted, but the node has gone meanwhile or connected anew. Nothing was tried there, so it counts like a refusal. */
const GONE = failed('node_lost');

async function* onlyFrame(frame: Frame): AsyncGenerator<Frame, void> {
  yield frame;
}

const asError = ({ code, message, detail }: Extract<Frame, { kind: 'failed' }>): CodedError =>
  new CodedError(code, { message, ...(detail === undefined ? {} : { detail }) });

const asFrame = ({ code, message, detail, retryAfterSeconds }: CodedError): Frame => ({
  ...{ kind: 'failed', code, message },
  ...(detail === undefined ? {} : { detail }),
  ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
});
