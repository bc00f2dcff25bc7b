import { type LearnedFigures, nothingLearned } from '../scheduler/fleet.ts';

/** Weight of the newest sample in the decaying average. */
const NEWEST = 0.3;

/** What attempts and loads have taught about each model on each node. Single writer of its averages. */
export class Figures {
  readonly #figures = new Map<string, LearnedFigures>();

  of(nodeId: string, model: string): LearnedFigures {
    return this.#figures.get(`${nodeId}\n${model}`) ?? nothingLearned;
  }

  learn(nodeId: string, model: string, sample: Partial<Record<keyof LearnedFigures, number | null>>): void {
    const known = this.of(nodeId, model);
    this.#figures.set(`${nodeId}\n${model}`, {
      loadMs: averaged(known.loadMs, sample.loadMs),
      firstContentMs: averaged(known.firstContentMs, sample.firstContentMs),
      attemptMs: averaged(known.attemptMs, sample.attemptMs),
    });
  }
}

const averaged = (known: number | null, sample: number | null | undefined): number | null =>
  sample === null || sample === undefined ? known : known === null ? sample : known + NEWEST * (sample - known);
