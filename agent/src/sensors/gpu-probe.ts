import type { Gpu } from '@lai/shared/node';
import type { RunCommand } from './command.ts';

/** One program that holds a GPU. `both` is what NVIDIA prints as `C+G`. */
export type GpuProcess = {
  pid: number;
  /** As the vendor prints it: a path, a bare name, or null where the system hides it from us. */
  name: string | null;
  kind: 'compute' | 'graphics' | 'both';
  /** Null when the machine cannot tell: always so on Windows with a display driver (WDDM). */
  usedBytes: number | null;
  gpuId: string | null;
};

export type GpuProbeVendor = 'nvidia' | 'amd' | 'apple' | 'simulated' | 'none';

/** What the rest of the agent sees of the GPUs, whoever made them. */
export type GpuProbe = {
  readonly vendor: GpuProbeVendor;
  /** The last known values, at once; a reading that grew too old is null, while name and total stay. */
  read(): readonly Gpu[];
  /** Called after any value changed, a value going stale included. Returns the function that ends it. */
  onChange(listener: () => void): () => void;
  /**
   * Who holds the GPU, at most `maxAgeMs` old (30 s when not said); many askers cost one look. Null means "this machine cannot
   * tell", which is not the same as "nobody". Never rejects.
   */
  processes(maxAgeMs?: number): Promise<readonly GpuProcess[] | null>;
  /** A sentence while a GPU ought to answer and does not; null when all is well. */
  trouble(): string | null;
  /** Ends every timer and process of the probe; settles when they are gone, or after a few seconds at the latest. */
  close(): Promise<void>;
};

export type SystemMemory = { totalBytes: number; freeBytes: number };

/** What a probe may touch, passed in so that tests replace it with fixtures. */
export type ProbeEnv = {
  platform: NodeJS.Platform;
  arch: string;
  /** For PATH and the Windows folders; nobody in this room reads `process.env`. */
  environment: Readonly<Record<string, string | undefined>>;
  /** Base address of a mock engine. When set, its simulated GPU is the only one reported. */
  mockEngineUrl: string | null;
  runCommand: RunCommand;
  /** Where Linux mounts sysfs: `/sys`. */
  sysfsRoot: string;
  /** The machine's own memory, which a GPU without memory of its own shares; `freeBytes` is what a load could have. */
  systemMemory: () => SystemMemory;
  timing: ProbeTiming;
  random: () => number;
};

export type ProbeTiming = {
  sampleEveryMs: number;
  /** A reading older than this is reported as null. */
  staleAfterMs: number;
  /** A vendor program that gave no reading for this long is taken for hung and replaced. */
  silenceMs: number;
  /** How long detection waits for the first reading of one vendor. */
  detectMs: number;
  restartBaseMs: number;
  restartCapMs: number;
  /** Deadline and lifetime of one process list. */
  processesDeadlineMs: number;
  processesCacheMs: number;
};

/** Readings reach the coordinator within 2 s of a change, so that is how often we look; five missed looks make a reading stale. */
export const PROBE_TIMING: ProbeTiming = Object.freeze({
  sampleEveryMs: 2_000,
  staleAfterMs: 10_000,
  silenceMs: 15_000,
  detectMs: 10_000,
  restartBaseMs: 1_000,
  restartCapMs: 60_000,
  processesDeadlineMs: 5_000,
  processesCacheMs: 30_000,
});
