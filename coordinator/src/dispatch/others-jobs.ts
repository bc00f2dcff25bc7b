import type { Target } from '../routing/target.ts';
import type { Candidate, Placement } from '../scheduler/place.ts';
import type { Books } from './books.ts';
import type { Chooser, Fleet } from './chooser.ts';
import type { Clock } from './clock.ts';
import type { Line } from './line.ts';
import type { Loads } from './loads.ts';

/** Takes for others at the same time, by line. */
const MOST_PROBES = 8;
/** How often, and at how many, Redis is looked at for who waits for a model that nobody here waits for. */
const LOOK_AGAIN_MS = 500;
const LOOK_AT = 20;
/** Lines that are remembered as hinted; beyond, the oldest is forgotten until the sweep of open jobs hints it again. */
const MOST_HINTS = 1_000;

export interface OthersJobsOptions {
  readonly lineOf: (target: Target) => Line;
  readonly chooser: Chooser;
  readonly loads: Loads;
  readonly books: Books;
  readonly clock: Clock;
  readonly isReplicaThere: (replicaId: string) => boolean;
  /** Claims the slot and takes whoever is first in line. */
  readonly take: (line: Line, candidate: Candidate, placement: Placement) => Promise<'something' | 'nothing' | 'unknown'>;
  /** Soon, look again. */
  readonly pump: () => void;
}

/** Other replicas' jobs and durable ones: lines that may be taken from though nobody of ours waits in them. Single writer of the hints. */
export class OthersJobs {
  readonly #options: OthersJobsOptions;
  /** By line: something was added to it, by whomever. */
  readonly #hinted = new Map<string, Target>();
  #isClosed = false;

  constructor(options: OthersJobsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#hinted.size;
  }

  has(line: Line): boolean {
    return this.#hinted.has(line.queue.name);
  }

  /** We are going: our nodes' slots are for what waits here. */
  close(): void {
    this.#isClosed = true;
    this.#hinted.clear();
  }

  hint(target: Target): void {
    if (this.#isClosed) return;
    const line = this.#options.lineOf(target);
    line.hints += 1;
    // Newest last, so that the oldest is forgotten first.
    this.#hinted.delete(line.queue.name);
    this.#hinted.set(line.queue.name, target);
    const [oldest] = this.#hinted.keys();
    if (this.#hinted.size > MOST_HINTS && oldest !== undefined) this.#hinted.delete(oldest);
  }

  pump(fleet: Fleet): void {
    for (const target of this.#hinted.values()) this.#pumpLine(target, fleet);
  }

  /** Beside what ours take: at first one take at a time, and no more once one comes back empty. */
  #pumpLine(target: Target, fleet: Fleet): void {
    const line = this.#options.lineOf(target);
    while (line.probing < line.mostProbes) {
      const placement = this.#options.chooser.choose(target, null, 1, fleet);
      const { decision } = placement;
      if (decision.kind === 'load' && line.isIdle) void this.#loadIfWanted(line, decision.candidate);
      if (decision.kind !== 'run') return;
      void this.#probe(line, decision.candidate, placement);
    }
  }

  async #probe(line: Line, candidate: Candidate, placement: Placement): Promise<void> {
    const { hints } = line;
    line.probing += 1;
    const found = await this.#options.take(line, candidate, placement);
    line.probing -= 1;
    if (found === 'something') {
      line.mostProbes = Math.min(MOST_PROBES, 2 * line.mostProbes);
      this.#options.pump();
    } else {
      line.mostProbes = 1;
    }
    if (found !== 'nothing') return;
    // A hint that came meanwhile is about a job that this take may have been too early for.
    if (line.hints === hints) this.#hinted.delete(line.queue.name);
    else this.#options.pump();
  }

  /**
   * Loads for whom nobody else does: a durable job's. A request's own replica asks for its load, and jobs of replicas that are no more, or
   * a hint of a job that is gone, must not push a model out that is used.
   */
  async #loadIfWanted(line: Line, candidate: Candidate): Promise<void> {
    const { clock, loads, books, isReplicaThere } = this.#options;
    if (clock.nowMs() - line.lookedAtMs < LOOK_AGAIN_MS) return; // the sweep comes by
    line.lookedAtMs = clock.nowMs();
    line.taking += 1;
    const jobs = await line.queue.first(LOOK_AT).catch(() => null);
    line.taking -= 1;
    if (jobs === null) return;
    const orphans = jobs.filter(({ data: { origin } }) => origin !== null && !isReplicaThere(origin));
    for (const { id } of orphans) books.remove(line, id);
    if (jobs.some(({ data }) => data.origin === null)) loads.request(candidate);
    if (jobs.length === orphans.length && jobs.length < LOOK_AT) this.#hinted.delete(line.queue.name);
    // Hinted again, or joined, while we looked.
    this.#options.pump();
  }
}
