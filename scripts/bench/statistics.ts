/** Figures of one series of measurements. */
export interface Summary {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** Nearest rank of sorted values: always a value that was measured. NaN when there is none. */
export const quantile = (sorted: ArrayLike<number>, share: number): number =>
  sorted.length === 0 ? Number.NaN : (sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN);

export const summarise = (values: readonly number[]): Summary => {
  const sorted = Float64Array.from(values).sort();
  return {
    count: sorted.length,
    p50: quantile(sorted, 0.5),
    p95: quantile(sorted, 0.95),
    p99: quantile(sorted, 0.99),
    max: quantile(sorted, 1),
  };
};

/** The middle, or the mean of the two in the middle; NaN of nothing. */
export const median = (values: readonly number[]): number => {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? Number.NaN) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
};

const BIN_MS = 0.25;
const BINS = 8_000;

/** Counts of durations up to two seconds, for series too long to keep. A quantile is at most a quarter of a millisecond too high. */
export class Histogram {
  readonly #bins = new Uint32Array(BINS + 1);
  #count = 0;
  #max = 0;

  add(ms: number): void {
    const bin = Math.min(BINS, Math.floor(Math.max(0, ms) / BIN_MS));
    this.#bins[bin] = (this.#bins[bin] ?? 0) + 1;
    this.#count += 1;
    if (ms > this.#max) this.#max = ms;
  }

  summary(): Summary {
    return {
      count: this.#count,
      p50: this.#quantile(0.5),
      p95: this.#quantile(0.95),
      p99: this.#quantile(0.99),
      max: this.#count === 0 ? Number.NaN : this.#max,
    };
  }

  #quantile(share: number): number {
    const rank = Math.max(1, Math.ceil(share * this.#count));
    let seen = 0;
    for (let bin = 0; bin <= BINS; bin += 1) {
      seen += this.#bins[bin] ?? 0;
      if (seen >= rank) return bin === BINS ? this.#max : Math.min(this.#max, (bin + 1) * BIN_MS);
    }
    return Number.NaN;
  }
}

/** One figure of interleaved rounds. Differences and ratios are taken round by round, so that noise which hits both sides cancels. */
export interface Paired {
  readonly baseline: number;
  readonly subject: number;
  readonly difference: number;
  readonly ratio: number;
  /** Smallest and largest difference of a round. */
  readonly differences: readonly [number, number];
  /** Rounds in which the subject's figure was the larger one. */
  readonly larger: number;
  readonly rounds: number;
}

export const pair = (baseline: readonly number[], subject: readonly number[]): Paired => {
  const rounds = Math.min(baseline.length, subject.length);
  const both = Array.from(
    { length: rounds },
    (_, round) => [baseline[round] ?? Number.NaN, subject[round] ?? Number.NaN] as const,
  );
  const differences = both.map(([a, b]) => b - a);
  return {
    baseline: median(both.map(([a]) => a)),
    subject: median(both.map(([, b]) => b)),
    difference: median(differences),
    ratio: median(both.map(([a, b]) => b / a)),
    differences: [Math.min(...differences), Math.max(...differences)],
    larger: differences.filter((difference) => difference > 0).length,
    rounds,
  };
};
