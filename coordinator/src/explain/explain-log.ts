import { setTimeout as pause } from 'node:timers/promises';
import { type ExplainedPlacement, Explanation } from '@lai/shared/admin-api';
import { CodedError } from '@lai/shared/errors';
import type { Logger } from 'pino';
import { systemClock, toWallMs } from '../dispatch/clock.ts';
import type { DispatchedRequest } from '../dispatch/dispatcher.ts';
import type { Placement } from '../scheduler/place.ts';
import type { Database } from '../store/database.ts';
import { deleteExplanationsBefore, findExplanation, insertExplanations } from '../store/explanations.ts';

const WRITE_MS = 1_000;
/** How long an unknown request may still turn up: another replica writes once a second, and an answer's last byte leaves before its end is noted. */
const UNKNOWN_FOR_MS = 1_500;
const LOOK_AGAIN_MS = 250;
const PRUNE_MS = 10 * 60_000;
const KEEP_MS = 24 * 60 * 60_000;
/** Requests between two writes beyond this are not explained: the log must not become the load. */
const MOST_UNWRITTEN = 5_000;
const MOST_CANDIDATES = 8;
const MOST_REFUSALS = 24;

/**
 * Keeps for a day why each request went where it went. Written in batches, behind the requests' backs; what a store that cannot be used refuses is
 * written with the next batch, and losing some costs nobody an answer.
 */
export class ExplainLog {
  readonly #db: Database;
  readonly #log: Logger;
  #unwritten: DispatchedRequest[] = [];
  readonly #timers: NodeJS.Timeout[];
  #writing: Promise<void> = Promise.resolve();

  constructor(options: { db: Database; log: Logger }) {
    this.#db = options.db;
    this.#log = options.log;
    this.#timers = [setInterval(() => void this.write(), WRITE_MS), setInterval(() => void this.#prune(), PRUNE_MS)];
  }

  record(request: DispatchedRequest): void {
    if (this.#unwritten.length < MOST_UNWRITTEN) this.#unwritten.push(request);
  }

  /** Why this request went where it went, also when its answer has just ended; null when nothing is known of it. */
  async find(requestId: string): Promise<Explanation | null> {
    const deadline = performance.now() + UNKNOWN_FOR_MS;
    for (;;) {
      const unwritten = this.#unwritten.find(({ request }) => request.requestId === requestId);
      if (unwritten) return explain(unwritten);
      await this.#writing;
      const json = await findExplanation(this.#db, requestId);
      if (json !== undefined) return Explanation.parse(JSON.parse(json));
      if (performance.now() > deadline) return null;
      await pause(LOOK_AGAIN_MS);
    }
  }

  write(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  async #write(): Promise<void> {
    if (this.#unwritten.length === 0) return;
    const requests = this.#unwritten;
    this.#unwritten = [];
    const rows = requests.map((request) => ({
      request_id: request.request.requestId,
      at_ms: toWallMs(systemClock, request.endedAtMs),
      explanation: JSON.stringify(explain(request)),
    }));
    await insertExplanations(this.#db, rows).catch((error: unknown) => {
      // A row that cannot be written for its own sake would come back for ever; rows that are there already stay as they are.
      if (error instanceof CodedError && error.code === 'store_unavailable')
        this.#unwritten = [...requests, ...this.#unwritten].slice(0, MOST_UNWRITTEN);
      this.#log.warn({ err: error }, 'explanations not written');
    });
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.write();
  }

  async #prune(): Promise<void> {
    await deleteExplanationsBefore(this.#db, Date.now() - KEEP_MS).catch((error: unknown) =>
      this.#log.warn({ err: error }, 'explanations not pruned'),
    );
  }
}

export const explain = ({ request, trail, outcome, endedAtMs, lastPlacement }: DispatchedRequest): Explanation => ({
  requestId: request.requestId,
  keyId: request.keyId,
  route: request.route,
  target: { ...request.target, capabilities: [...request.target.capabilities] },
  priority: request.priorityClass ?? 'interactive',
  enqueuedAtMs: toWallMs(systemClock, trail.enqueuedAtMs),
  queueMs: trail.queueMs,
  endedAtMs: toWallMs(systemClock, endedAtMs),
  outcome,
  attempts: trail.attempts.map((attempt) => ({
    node: attempt.nodeName,
    model: attempt.model,
    startedAtMs: toWallMs(systemClock, attempt.startedAtMs),
    outcome: attempt.outcome,
    placement: attempt.placement && explainPlacement(attempt.placement),
  })),
  ...(trail.route ? { way: { ...trail.route, left: trail.route.left.map((left) => ({ ...left })) } } : {}),
  lastPlacement: trail.queueMs === null && lastPlacement ? explainPlacement(lastPlacement) : null,
});

const explainPlacement = ({ candidates, refusals }: Placement): ExplainedPlacement => ({
  candidates: candidates.slice(0, MOST_CANDIDATES).map(({ nodeName, model, action, expectedMs, score }) => ({
    node: nodeName,
    model,
    action,
    expectedMs: Math.round(expectedMs),
    parts: Object.fromEntries(Object.entries(score).flatMap(([part, value]) => (value === 0 ? [] : [[part, Math.round(value)]]))),
  })),
  refusals: refusals
    .slice(0, MOST_REFUSALS)
    .map(({ nodeName, model, reason, detail }) => ({ node: nodeName, model, reason, detail })),
});
