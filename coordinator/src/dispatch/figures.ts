import { type LearnedFigures, nothingLearned } from '../scheduler/fleet.ts';

/** Weight of the newest sample in the decaying average. */
const NEWEST = 0.3;

export type FigureSample = Partial<Record<keyof LearnedFigures, number | null>>;

/** What attempts and loads have taught about each model on each node. Single writer of its averages. */
export class Figures {
  readonly #nodes = new Map<string, Map<string, LearnedFigures>>();
  /** Nodes whose figures have changed since they were last kept. */
  readonly #changed = new Set<string>();

  of(nodeId: string, model: string): LearnedFigures {
    return this.#nodes.get(nodeId)?.get(model) ?? nothingLearned;
  }

  learn(nodeId: string, model: string, sample: FigureSample): void {
    const known = this.of(nodeId, model);
    this.#set(nodeId, model, {
      loadMs: averaged(known.loadMs, sample.loadMs),
      firstContentMs: averaged(known.firstContentMs, sample.firstContentMs),
      attemptMs: averaged(known.attemptMs, sample.attemptMs),
      needBytes: averaged(known.needBytes, sample.needBytes),
    });
    this.#changed.add(nodeId);
  }

  /** What was kept from before; what has been learned since is newer and stays. */
  recall(nodeId: string, model: string, figures: LearnedFigures): void {
    if (!this.#nodes.get(nodeId)?.has(model)) this.#set(nodeId, model, figures);
  }

  /** Nodes with news, and what is known of them now. */
  takeChanges(): ReadonlyMap<string, ReadonlyMap<string, LearnedFigures>> {
    const changes = new Map([...this.#changed].map((nodeId) => [nodeId, new Map(this.#nodes.get(nodeId))] as const));
    this.#changed.clear();
    return changes;
  }

  #set(nodeId: string, model: string, figures: LearnedFigures): void {
    const models = this.#nodes.get(nodeId) ?? new Map<string, LearnedFigures>();
    this.#nodes.set(nodeId, models.set(model, figures));
  }
}

const averaged = (known: number | null, sample: number | null | undefined): number | null =>
  sample === null || sample === undefined ? known : known === null ? sample : known + NEWEST * (sample - known);
