/** Answers shorter than this say more about the first token than about the speed. */
const LEAST_TOKENS = 8;
const RECENT = 3;

interface Speed {
  readonly recent: number[];
  usual: number;
  answers: number;
}

/**
 * How fast each model generates here, lately and usually, in tokens per second. The usual speed follows the median of the last answers
 * upwards quickly and downwards slowly, so that it still is the GPU's when the last answers came from the CPU. Single writer of its figures.
 */
export class Speeds {
  readonly #speeds = new Map<string, Speed>();

  note(model: string, tokens: number, generatingMs: number): void {
    if (tokens < LEAST_TOKENS || generatingMs <= 0) return;
    const speed = this.#speeds.get(model) ?? { recent: [], usual: 0, answers: 0 };
    speed.recent.push((tokens * 1_000) / generatingMs);
    if (speed.recent.length > RECENT) speed.recent.shift();
    speed.answers += 1;
    const now = median(speed.recent);
    speed.usual = now > speed.usual ? now : speed.usual * 0.98 + now * 0.02;
    this.#speeds.set(model, speed);
  }

  /** Nulls until enough answers came. */
  of(model: string): { readonly tokensPerSecond: number | null; readonly usualTokensPerSecond: number | null } {
    const speed = this.#speeds.get(model);
    if (!speed || speed.answers < RECENT) return { tokensPerSecond: null, usualTokensPerSecond: null };
    return { tokensPerSecond: median(speed.recent), usualTokensPerSecond: speed.usual };
  }
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
