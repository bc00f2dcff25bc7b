import type { Gpu } from '@lai/shared/node';

type Row = { gpu: Gpu; atMs: number };

/** What stays true when nobody has looked for a while: which card it is and how big. The rest becomes "not known". */
export function withoutStaleValues(gpu: Gpu): Gpu {
  return { ...gpu, vramUsedBytes: null, vramFreeBytes: null, utilization: null, temperatureCelsius: null, powerWatts: null };
}

/** A card that is known and does not answer any more: shown under its name, worth nothing. */
export const lostGpu = (gpu: Gpu): Gpu => ({ ...withoutStaleValues(gpu), isLost: true });

/** The last known values of every GPU of one probe. The probe is the only writer. */
export class GpuReadings {
  readonly #rows = new Map<string, Row>();
  readonly #listeners = new Set<() => void>();
  readonly #staleAfterMs: number;
  readonly #nowMs: () => number;
  #staleTimer: NodeJS.Timeout | null = null;
  #notice: NodeJS.Immediate | null = null;
  #told = '[]';

  constructor(options: { staleAfterMs: number; nowMs?: () => number }) {
    this.#staleAfterMs = options.staleAfterMs;
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  put(gpus: readonly Gpu[]): void {
    const atMs = this.#nowMs();
    for (const gpu of gpus) this.#rows.set(gpu.id, { gpu, atMs });
    this.#notify();
    if (this.#staleTimer !== null) clearTimeout(this.#staleTimer);
    this.#staleTimer = setTimeout(() => this.#notify(), this.#staleAfterMs + 1).unref();
  }

  /** All cards there are now: one that is missing is lost, and one that was never more than a name is forgotten. */
  putAll(gpus: readonly Gpu[]): void {
    const ids = new Set(gpus.map((gpu) => gpu.id));
    const missing = [...this.#rows.values()].filter(({ gpu }) => !ids.has(gpu.id));
    for (const { gpu } of missing) if (gpu.vramTotalBytes === null) this.#rows.delete(gpu.id);
    this.put([...gpus, ...missing.flatMap(({ gpu }) => (gpu.vramTotalBytes === null ? [] : [lostGpu(gpu)]))]);
  }

  read(): readonly Gpu[] {
    const oldestMs = this.#nowMs() - this.#staleAfterMs;
    return [...this.#rows.values()].map((row) => (row.atMs < oldestMs ? withoutStaleValues(row.gpu) : row.gpu));
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    if (this.#staleTimer !== null) clearTimeout(this.#staleTimer);
    if (this.#notice !== null) clearImmediate(this.#notice);
    this.#listeners.clear();
  }

  /** Several GPUs arrive as several lines of one chunk; listeners hear of them once. */
  #notify(): void {
    this.#notice ??= setImmediate(() => {
      this.#notice = null;
      const now = JSON.stringify(this.read());
      if (now === this.#told) return;
      this.#told = now;
      for (const listener of this.#listeners) listener();
    });
  }
}
