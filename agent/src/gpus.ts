import { setTimeout as pause } from 'node:timers/promises';
import type { Gpu } from '@lai/shared/node';
import { detectGpuProbe, type GpuProbe, type ProbeEnv, probeEnv } from './sensors/gpu.ts';
import { noGpuProbe } from './sensors/gpu-none.ts';
import { PROBE_TIMING } from './sensors/gpu-probe.ts';

/** While memory is being given back, two seconds between readings would be most of the time allowed. */
const CLOSE_WATCH_MS = 200;
const FRESH_LOOK_MS = 10;

/**
 * The GPUs of this machine, or the simulated one of a mock engine for as long as that is the only engine. Single writer of the choice.
 * `watchClosely` opens a second, quick probe beside the first.
 */
export class Gpus {
  readonly #env: Partial<ProbeEnv> & Pick<ProbeEnv, 'environment'>;
  readonly #onChange: () => void;
  #probe: GpuProbe = noGpuProbe;
  #quick: GpuProbe | null = null;
  #mockUrl: string | null | undefined;
  #wantsQuick = false;
  #isClosed = false;

  constructor(options: { env: Partial<ProbeEnv> & Pick<ProbeEnv, 'environment'>; onChange: () => void }) {
    this.#env = options.env;
    this.#onChange = options.onChange;
  }

  get probe(): GpuProbe {
    return this.#probe;
  }

  read(): readonly Gpu[] {
    const quick = this.#quick?.read() ?? [];
    return quick.length > 0 ? quick : this.#probe.read();
  }

  /** Of all GPUs that tell and are not lost; null when none of them does, 0 when there is none. */
  totalOf(field: 'vramTotalBytes' | 'vramUsedBytes' | 'vramFreeBytes'): number | null {
    const gpus = this.read().filter((gpu) => !gpu.isLost);
    const known = gpus.flatMap((gpu) => gpu[field] ?? []);
    return known.length === 0 && gpus.length > 0 ? null : known.reduce((sum, bytes) => sum + bytes, 0);
  }

  /** What Ollama will choose a context by; null where it is not known, as for a GPU without memory of its own that is not Apple's. */
  contextBasisBytes(): number | null {
    const isKnown = this.read().every((gpu) => !gpu.isUnifiedMemory || gpu.vendor === 'apple');
    return isKnown ? this.totalOf('vramTotalBytes') : null;
  }

  /** Looks at another machine's worth of GPUs: those of the mock engine at this address, or the real ones. */
  async use(mockUrl: string | null): Promise<void> {
    if (mockUrl === this.#mockUrl || this.#isClosed) return;
    this.#mockUrl = mockUrl;
    const probe = await detectGpuProbe(probeEnv({ ...this.#env, mockEngineUrl: mockUrl }));
    if (this.#isClosed || mockUrl !== this.#mockUrl) {
      await probe.close();
      return;
    }
    const before = this.#probe;
    this.#probe = probe;
    probe.onChange(this.#onChange);
    this.#onChange();
    await before.close();
  }

  watchClosely(isWanted: boolean): void {
    if (isWanted === this.#wantsQuick) return;
    this.#wantsQuick = isWanted;
    if (!isWanted) {
      const quick = this.#quick;
      this.#quick = null;
      void quick?.close();
      return;
    }
    if (this.#probe.vendor === 'none') return;
    const timing = { ...PROBE_TIMING, sampleEveryMs: CLOSE_WATCH_MS };
    void detectGpuProbe(probeEnv({ ...this.#env, mockEngineUrl: this.#mockUrl ?? null, timing })).then((quick) => {
      if (this.#wantsQuick && !this.#isClosed && this.#quick === null) this.#quick = quick;
      else void quick.close();
    });
  }

  /** A reading of now, or the last one when none comes in time. Only while it is watched closely. */
  async fresh(limitMs: number): Promise<readonly Gpu[]> {
    const deadlineMs = performance.now() + limitMs;
    while (this.#wantsQuick && this.#probe.vendor !== 'none' && !this.#quick?.read().length && performance.now() < deadlineMs) {
      await pause(FRESH_LOOK_MS);
    }
    return this.read();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.watchClosely(false);
    await this.#probe.close();
  }
}
