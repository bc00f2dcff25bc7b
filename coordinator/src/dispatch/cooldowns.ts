import type { ErrorCode } from '@lai/shared/errors';
import type { Clock } from './clock.ts';

const FAILURES_IN_A_ROW = 2;
const REST_MS = 30_000;
const LONGEST_REST_MS = 5 * 60_000;

/** Failures that speak against a model on a node, rather than against the request or the network. */
const TELLING: ReadonlySet<ErrorCode> = new Set([
  'engine_crashed',
  'engine_error',
  'engine_unreachable',
  'out_of_memory',
  'incomplete_answer',
  'first_token_timeout',
  'stall_timeout',
]);

/** Models on nodes that failed several times in a row are given a rest, longer each time. Single writer of its counts. */
export class Cooldowns {
  readonly #clock: Clock;
  readonly #records = new Map<string, { failures: number; untilMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  untilMs(nodeId: string, model: string): number {
    return this.#records.get(`${nodeId}\n${model}`)?.untilMs ?? 0;
  }

  record(nodeId: string, model: string, outcome: 'end' | ErrorCode): void {
    const place = `${nodeId}\n${model}`;
    if (outcome === 'end') this.#records.delete(place);
    if (outcome === 'end' || !TELLING.has(outcome)) return;
    const failures = (this.#records.get(place)?.failures ?? 0) + 1;
    const rests = failures - FAILURES_IN_A_ROW + 1;
    const untilMs = rests > 0 ? this.#clock.nowMs() + Math.min(LONGEST_REST_MS, REST_MS * rests) : 0;
    this.#records.set(place, { failures, untilMs });
  }
}
