import type { Logger } from 'pino';
import type { Holds } from './availability/holds.ts';
import { Speeds } from './availability/speeds.ts';
import type { Gpus } from './gpus.ts';
import type { Runtime, RuntimeModel } from './runtimes/runtime.ts';
import { type GpuVerdict, gpuVerdict } from './sensors/gpu-lost.ts';

/** A load needs a little more than the weights. */
const ROOM = 1.1;

/**
 * Watches for the GPU that is silently lost after a suspend: the driver is gone for new processes, and engines then load on the CPU
 * without a word. That a model belongs on the GPU is learned: these weights have held memory there since the agent started. An engine may
 * have good reasons to keep others off it (an old card, an APU, `num_gpu 0`), so of those nothing more than a suspicion is told.
 *
 * Certain, and nothing else of the engine is on the GPU → the node holds itself (`gpu_lost`), because an answer twenty times slower helps
 * nobody; the repair is in docs/gpu-lost.md. The hold goes when the model holds GPU memory, or is no longer loaded: the next load is the
 * next test. Single writer of that hold.
 */
export class GpuGuard {
  readonly speeds = new Speeds();
  readonly #holds: Holds;
  readonly #gpus: Gpus;
  readonly #log: Logger;
  /** Whether there was room when the model was last seen cold, by runtime and model. */
  readonly #room = new Map<string, boolean>();
  readonly #verdicts = new Map<string, GpuVerdict>();
  /** Weights that have held GPU memory, by runtime and digest (or name). */
  readonly #wasOnGpu = new Set<string>();
  /** Runtimes that have, and those that do now. */
  readonly #useGpu = new Set<string>();
  readonly #onGpuNow = new Set<string>();

  constructor(options: { holds: Holds; gpus: Gpus; log: Logger }) {
    this.#holds = options.holds;
    this.#gpus = options.gpus;
    this.#log = options.log;
  }

  /** Sentences for the machine's owner. */
  get troubles(): string[] {
    return [...this.#verdicts.values()].flatMap((verdict) =>
      verdict.kind === 'ok' ? [] : [`${verdict.sentence} Try: ${verdict.repair.join(' Then: ')}`],
    );
  }

  /** To be called with each fresh list of a runtime; older lists would accuse a model of what was true before it was loaded. */
  observe(runtime: Runtime, models: readonly RuntimeModel[]): void {
    const cards = this.#gpus.read().filter((gpu) => gpu.vramTotalBytes !== null);
    const freeBytes = cards.reduce((sum, gpu) => sum + (gpu.vramFreeBytes ?? 0), 0);
    const totalBytes = cards.reduce((sum, gpu) => sum + (gpu.vramTotalBytes ?? 0), 0);
    const isOnGpu = ({ isLoaded, vramBytes }: RuntimeModel) => isLoaded && (vramBytes ?? 0) > 0;
    this.#onGpuNow.delete(runtime.kind);
    if (models.some(isOnGpu)) {
      this.#onGpuNow.add(runtime.kind);
      this.#useGpu.add(runtime.kind);
    }
    for (const model of models) {
      const key = `${runtime.kind} ${model.id}`;
      const weights = `${runtime.kind} ${model.digest ?? model.id}`;
      const sizeBytes = model.sizeBytes ?? 0;
      if (!model.isLoaded) {
        if (!model.isLoading) this.#room.set(key, sizeBytes > 0 && freeBytes >= sizeBytes * ROOM);
        this.#judge(key, { kind: 'ok' });
        continue;
      }
      if (isOnGpu(model)) this.#wasOnGpu.add(weights);
      const wasThere = this.#wasOnGpu.has(weights);
      const isExpectedOnGpu = cards.length > 0 && model.staysOnCpu !== true && (wasThere || this.#useGpu.has(runtime.kind));
      const verdict = gpuVerdict(
        {
          model: model.id,
          isExpectedOnGpu: isExpectedOnGpu && sizeBytes > 0 && sizeBytes < totalBytes,
          vramBytes: model.vramBytes,
          hadRoomAtLoad: this.#room.get(key) ?? null,
          ...this.speeds.of(model.id),
        },
        process.platform,
      );
      this.#judge(key, verdict.kind === 'lost' && !wasThere ? { ...verdict, kind: 'suspected' } : verdict);
    }
    this.#review();
  }

  /** The engine is gone, and what was loaded in it: nothing is known any more. */
  forget(runtime: Runtime): void {
    for (const key of this.#verdicts.keys()) if (key.startsWith(`${runtime.kind} `)) this.#judge(key, { kind: 'ok' });
    this.#onGpuNow.delete(runtime.kind);
    this.#review();
  }

  #judge(key: string, verdict: GpuVerdict): void {
    const before = this.#verdicts.get(key)?.kind ?? 'ok';
    if (verdict.kind === 'ok') this.#verdicts.delete(key);
    else this.#verdicts.set(key, verdict);
    if (verdict.kind === before) return;
    if (verdict.kind === 'ok') this.#log.info({ model: key }, 'the GPU is in use again, or nothing is loaded');
    else this.#log.error({ model: key, verdict: verdict.kind, repair: verdict.repair }, verdict.sentence);
  }

  /** What one model shows is not the GPU's state while another one of its engine is there. */
  #review(): void {
    const [lost] = [...this.#verdicts].flatMap(([key, verdict]) =>
      verdict.kind === 'lost' && ![...this.#onGpuNow].some((kind) => key.startsWith(`${kind} `)) ? verdict : [],
    );
    const held = this.#holds.list().find(({ kind }) => kind === 'gpu_lost');
    if (!lost) this.#holds.clear('gpu_lost');
    else if (held?.cause !== lost.sentence)
      this.#holds.set({ kind: 'gpu_lost', cause: lost.sentence, sinceMs: held?.sinceMs ?? Date.now(), untilMs: null });
  }
}
