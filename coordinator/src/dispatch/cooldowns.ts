import type { ErrorCode } from '@lai/shared/errors';
import type { Clock } from './clock.ts';

const FAILURES_IN_A_ROW = 2;
const REST_MS = 30_000;
const LONGEST_REST_MS = 5 * 60_000;
/**
 * Whatever fails within this of a failure that counted is the same trouble: an engine dies under all that it runs, and a node that takes
 * nothing more is called lost 2.5 s later.
 */
const SAME_TROUBLE_MS = { model: 1_000, node: 5_000 };
/** An engine whose own queue is full; nothing is wrong with it. */
const OVERLOADED_REST_MS = 2_000;

/** What a failure speaks against, rather than against the request: a model on a node, or the whole node. */
const AGAINST: Partial<Record<ErrorCode, 'model' | 'node'>> = {
  engine_crashed: 'model',
  engine_error: 'model',
  engine_unreachable: 'model',
  out_of_memory: 'model',
  incomplete_answer: 'model',
  first_token_timeout: 'model',
  stall_timeout: 'model',
  node_lost: 'node',
  accept_timeout: 'node',
};

interface Trouble {
  failures: number;
  countedAtMs: number;
  untilMs: number;
}

/** Nodes, and models on nodes, that failed several times in a row are given a rest, longer each time. Single writer of its counts. */
export class Cooldowns {
  readonly #clock: Clock;
  /** By node, and by node and model. */
  readonly #records = new Map<string, Trouble>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  untilMs(nodeId: string, model: string): number {
    return Math.max(this.#records.get(nodeId)?.untilMs ?? 0, this.#records.get(placeOf(nodeId, model))?.untilMs ?? 0);
  }

  record(nodeId: string, model: string, outcome: 'end' | ErrorCode): void {
    if (outcome === 'end') {
      this.#records.delete(nodeId);
      this.#records.delete(placeOf(nodeId, model));
    } else if (outcome === 'engine_overloaded') {
      this.#rest(placeOf(nodeId, model), OVERLOADED_REST_MS);
    } else if (AGAINST[outcome] === 'node') {
      this.#count(nodeId, SAME_TROUBLE_MS.node);
    } else if (AGAINST[outcome] === 'model') {
      this.#count(placeOf(nodeId, model), SAME_TROUBLE_MS.model);
    }
  }

  #count(place: string, sameTroubleMs: number): void {
    const nowMs = this.#clock.nowMs();
    const { failures: before, countedAtMs, untilMs } = this.#records.get(place) ?? NONE;
    if (before > 0 && nowMs - countedAtMs < sameTroubleMs) return;
    const failures = before + 1;
    this.#records.set(place, { failures, countedAtMs: nowMs, untilMs });
    const rests = failures - FAILURES_IN_A_ROW + 1;
    if (rests > 0) this.#rest(place, Math.min(LONGEST_REST_MS, REST_MS * rests));
  }

  #rest(place: string, forMs: number): void {
    const known = this.#records.get(place) ?? NONE;
    this.#records.set(place, { ...known, untilMs: Math.max(known.untilMs, this.#clock.nowMs() + forMs) });
  }
}

const NONE: Trouble = { failures: 0, countedAtMs: 0, untilMs: 0 };

const placeOf = (nodeId: string, model: string): string => `${nodeId}\n${model}`;
