import type { ModelPull } from '@lai/shared/node';
import type { Logger } from 'pino';
import { type PullProgress, type Runtime, RuntimeError } from '../runtimes/runtime.ts';
import { mayPull } from './pull-policy.ts';

interface Pull {
  readonly model: string;
  readonly runtime: Runtime;
  readonly abort: AbortController;
  readonly done: Promise<void>;
  /** Who wants it; it goes on until the last one leaves. */
  readonly watchers: Set<(progress: PullProgress) => void>;
  progress: PullProgress;
}

/**
 * Models on their way onto the disk. One download per model, however many ask for it; it ends when the last of them gives up, and what
 * is there of it stays, so that asking again goes on from there. Single writer of its downloads.
 */
export class Pulls {
  readonly #pulls = new Map<string, Pull>();
  readonly #runtimes: () => readonly Runtime[];
  readonly #allowed: readonly string[];
  readonly #onPulled: (runtime: Runtime) => Promise<void>;
  readonly #onChange: () => void;
  readonly #log: Logger;

  constructor(options: {
    /** Those that answer, best first. */
    runtimes: () => readonly Runtime[];
    /** The owner's list; see pull-policy.ts. */
    allowed: readonly string[];
    /** The model is on the disk; the runtime's list is older than that. */
    onPulled: (runtime: Runtime) => Promise<void>;
    onChange: () => void;
    log: Logger;
  }) {
    this.#runtimes = options.runtimes;
    this.#allowed = options.allowed;
    this.#onPulled = options.onPulled;
    this.#onChange = options.onChange;
    this.#log = options.log;
  }

  get canPull(): boolean {
    return this.#runtimes().some((runtime) => runtime.abilities.pull);
  }

  report(): ModelPull[] {
    return [...this.#pulls.values()].map(({ model, runtime, progress: { completedBytes, totalBytes } }) => ({
      model,
      runtime: runtime.kind,
      completedBytes,
      totalBytes,
    }));
  }

  /**
   * Resolves when the model is there and listed. Fails with RuntimeError, or with the signal's reason when the caller gives up. What is
   * asked for over the wire has to be on the owner's list.
   */
  async pull(model: string, onProgress: (progress: PullProgress) => void, signal: AbortSignal): Promise<void> {
    if (!mayPull(model, this.#allowed))
      throw new RuntimeError('permission_denied', `the owner of this machine does not allow ${model} to be pulled`);
    await this.#join(model, onProgress, signal);
  }

  async #join(model: string, onProgress: (progress: PullProgress) => void, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const pull = this.#pulls.get(model) ?? this.#begin(model);
    const { promise: left, reject } = Promise.withResolvers<never>();
    const leave = () => reject(signal.reason);
    pull.watchers.add(onProgress);
    signal.addEventListener('abort', leave, { once: true });
    onProgress(pull.progress);
    try {
      await Promise.race([pull.done, left]);
    } finally {
      signal.removeEventListener('abort', leave);
      pull.watchers.delete(onProgress);
      if (pull.watchers.size === 0) pull.abort.abort(new RuntimeError('canceled', 'nobody waits for this download any more'));
    }
  }

  /** For the owner, who may pull anything: lines of news that end with the download, and fail as it fails. */
  async *watch(model: string, signal: AbortSignal): AsyncGenerator<PullProgress> {
    const news: PullProgress[] = [];
    let wake = Promise.withResolvers<void>();
    let isOver = false;
    const pulled = this.#join(
      model,
      (progress) => {
        // Whoever reads slowly sees where it is, not where it was.
        if (news.at(-1)?.stage === progress.stage) news.pop();
        news.push(progress);
        wake.resolve();
      },
      signal,
    ).finally(() => {
      isOver = true;
      wake.resolve();
    });
    pulled.catch(() => {});
    while (!isOver || news.length > 0) {
      const next = news.shift();
      if (next) yield next;
      else {
        await wake.promise;
        wake = Promise.withResolvers<void>();
      }
    }
    await pulled;
  }

  close(): void {
    for (const pull of this.#pulls.values()) pull.abort.abort(new RuntimeError('canceled', 'the agent is stopping'));
  }

  #begin(model: string): Pull {
    const runtime = this.#runtimes().find(({ abilities }) => abilities.pull);
    if (!runtime) throw new RuntimeError('request_refused', 'no engine of this machine downloads models');
    const abort = new AbortController();
    const { promise: done, resolve, reject } = Promise.withResolvers<void>();
    const pull: Pull = {
      model,
      runtime,
      abort,
      done,
      watchers: new Set(),
      progress: { stage: 'starting', completedBytes: null, totalBytes: null },
    };
    this.#pulls.set(model, pull);
    this.#onChange();
    // Also when nobody waits any more.
    done.catch(() => {});
    this.#run(pull).then(resolve, reject);
    return pull;
  }

  async #run(pull: Pull): Promise<void> {
    const { model, runtime, abort } = pull;
    const startedAtMs = performance.now();
    this.#log.info({ model, runtime: runtime.kind }, 'pulling a model');
    try {
      await runtime.pullModel?.(
        model,
        (progress) => {
          pull.progress = progress;
          for (const watch of pull.watchers) watch(progress);
        },
        abort.signal,
      );
      await this.#onPulled(runtime);
      this.#log.info({ model, pullMs: Math.round(performance.now() - startedAtMs) }, 'model pulled');
    } catch (error) {
      this.#log.warn({ model, err: error }, abort.signal.aborted ? 'pull stopped' : 'pull failed');
      throw error;
    } finally {
      this.#pulls.delete(model);
      this.#onChange();
    }
  }
}
