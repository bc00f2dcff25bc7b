import type { AttemptTimings, Usage } from '@lai/shared/attempt';
import { type LearnedFigures, nothingLearned } from '../scheduler/fleet.ts';

/** Weight of the newest sample in the decaying average. */
const NEWEST = 0.3;

export type FigureSample = Partial<Record<keyof LearnedFigures, number | null>>;

/** Fewer tokens than these say more about everything else that takes time. */
const TELLING_PROMPT_TOKENS = 512;
const TELLING_ANSWER_TOKENS = 16;

/** What an attempt that went well teaches. What the prompt cache spared was not read. */
export const sampleOf = (timings: AttemptTimings, usage: Usage | null): FigureSample => {
  const { firstContentMs, totalMs } = timings;
  const readTokens = usage ? usage.promptTokens - usage.cachedTokens : 0;
  const written = usage?.completionTokens ?? 0;
  const writingMs = firstContentMs === null ? 0 : totalMs - firstContentMs;
  return {
    ...{ firstContentMs, attemptMs: totalMs },
    prefillTokensPerSecond:
      firstContentMs !== null && firstContentMs > 0 && readTokens >= TELLING_PROMPT_TOKENS
        ? (readTokens / firstContentMs) * 1_000
        : null,
    // The first one came with the first content.
    tokensPerSecond: writingMs > 0 && written >= TELLING_ANSWER_TOKENS ? ((written - 1) / writingMs) * 1_000 : null,
  };
};

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
    const names = Object.keys(nothingLearned) as (keyof LearnedFigures)[];
    const next = Object.fromEntries(names.map((name) => [name, averaged(known[name], sample[name])])) as Record<
      keyof LearnedFigures,
      number | null
    >;
    this.#set(nodeId, model, next);
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
