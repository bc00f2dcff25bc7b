import { createHash } from 'node:crypto';

export interface GpuReading {
  readonly name: string;
  readonly totalBytes: number;
  readonly usedBytes: number;
  readonly freeBytes: number;
  /** 0 to 1. */
  readonly utilization: number;
  readonly temperatureCelsius: number;
  readonly powerWatts: number;
}

const MIB = 2 ** 20;
/** A GPU with a desktop on it is never quite empty. */
const IDLE_BYTES = 300 * MIB;

/**
 * The memory of one simulated GPU. Engines take and release, a "game" may take some too, and the telemetry reads the same
 * numbers, so that what a node reports and what fits agree. Writers: the engines on this GPU and their control routes.
 */
export class VramLedger {
  readonly name: string;
  readonly totalBytes: number;
  #held = new Map<string, number>();
  #lagging = new Map<NodeJS.Timeout, number>();
  #gameBytes = 0;
  #orphanBytes = 0;
  #waiting = new Set<() => void>();
  #activity = new Set<() => number>();

  constructor(gpu: { name: string; totalBytes: number }) {
    this.name = gpu.name;
    this.totalBytes = gpu.totalBytes;
  }

  get usedBytes(): number {
    const lagging = sum(this.#lagging.values());
    return Math.min(this.totalBytes, IDLE_BYTES + sum(this.#held.values()) + lagging + this.#gameBytes + this.#orphanBytes);
  }

  get freeBytes(): number {
    return this.totalBytes - this.usedBytes;
  }

  get orphanBytes(): number {
    return this.#orphanBytes;
  }

  /** True when more memory will be free soon, without anybody doing anything. */
  get isSettling(): boolean {
    return this.#lagging.size > 0;
  }

  /** False, and nothing taken, when it does not fit. */
  take(owner: string, bytes: number): boolean {
    if (bytes > this.freeBytes) return false;
    this.#held.set(owner, (this.#held.get(owner) ?? 0) + bytes);
    return true;
  }

  /** The owner holds it no longer, but the reading shows it for `lagMs` more: 0.5 to 1.5 s on real drivers. */
  release(owner: string, lagMs: number): void {
    const bytes = this.#held.get(owner);
    if (bytes === undefined) return;
    this.#held.delete(owner);
    if (lagMs <= 0) {
      this.#changed();
      return;
    }
    const timer = setTimeout(() => {
      this.#lagging.delete(timer);
      this.#changed();
    }, lagMs);
    timer.unref();
    this.#lagging.set(timer, bytes);
  }

  /** The owner died and left a process behind that keeps the memory. Nobody sees it but the GPU. */
  orphan(owner: string): void {
    this.#orphanBytes += this.#held.get(owner) ?? 0;
    this.#held.delete(owner);
  }

  setOrphanBytes(bytes: number): void {
    this.#orphanBytes = bytes;
    this.#changed();
  }

  setGameBytes(bytes: number): void {
    this.#gameBytes = bytes;
    this.#changed();
  }

  heldBy(owner: string): number {
    return this.#held.get(owner) ?? 0;
  }

  /** Resolves when memory was freed, or after `withinMs` at the latest. */
  whenChanged(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, withinMs);
      this.#waiting.add(done);
    });
  }

  /** An engine on this GPU tells how busy it is, 0 to 1. */
  watchActivity(busy: () => number): () => void {
    this.#activity.add(busy);
    return () => this.#activity.delete(busy);
  }

  reading(): GpuReading {
    const busy = Math.max(this.#gameBytes > 0 ? 0.95 : 0, ...[...this.#activity].map((read) => read()));
    const utilization = Math.round(busy * 100) / 100;
    return {
      name: this.name,
      totalBytes: this.totalBytes,
      usedBytes: this.usedBytes,
      freeBytes: this.freeBytes,
      utilization,
      temperatureCelsius: Math.round(38 + 34 * utilization),
      powerWatts: Math.round(18 + 190 * utilization),
    };
  }

  #changed(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}

const sum = (numbers: Iterable<number>): number => {
  let total = 0;
  for (const n of numbers) total += n;
  return total;
};

/**
 * One line as `nvidia-smi --query-gpu=index,uuid,name,driver_version,pstate,memory.total,memory.used,memory.free,
 * memory.reserved,utilization.gpu,utilization.memory,temperature.gpu,power.draw,power.limit
 * --format=csv,noheader,nounits` would print it.
 */
export const nvidiaSmiCsv = (gpu: GpuReading): string => {
  const uuid = createHash('sha256').update(gpu.name).digest('hex');
  const percent = Math.round(gpu.utilization * 100);
  const mib = (bytes: number): number => Math.round(bytes / MIB);
  return [
    0,
    `GPU-${uuid.slice(0, 8)}-${uuid.slice(8, 12)}-${uuid.slice(12, 16)}-${uuid.slice(16, 20)}-${uuid.slice(20, 32)}`,
    `${gpu.name} (simulated)`,
    '0.0.simulated',
    percent > 0 ? 'P2' : 'P8',
    mib(gpu.totalBytes),
    mib(gpu.usedBytes),
    mib(gpu.freeBytes),
    0,
    percent,
    Math.round(percent / 2),
    gpu.temperatureCelsius,
    gpu.powerWatts.toFixed(2),
    '220.00',
  ].join(', ');
};
