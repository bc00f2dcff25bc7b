import { setTimeout as pause } from 'node:timers/promises';
import type { AttemptRoute } from '@lai/shared/attempt';
import type { RuntimeReport } from '@lai/shared/node';
import { z } from 'zod';
import { LearnedCapabilities } from './capability-probe.ts';
import { classifyEngineError } from './engine-error.ts';
import { callEngine, openEngineRequest, readText } from './engine-http.ts';
import { leftOut, listOf, name, positive, text } from './engine-values.ts';
import { explainedLoad } from './explained-load.ts';
import { shownNames } from './model-folder.ts';
import { type EngineHandle, openAiUrl, type Runtime, type RuntimeAbilities, RuntimeError, type RuntimeModel } from './runtime.ts';
import { parseVllmMetrics, type VllmFigures } from './vllm-metrics.ts';
import { type ReadVramUsedBytes, sawVramMove } from './vram-check.ts';

const Card = z.looseObject({ id: name, max_model_len: positive, parent: text });
const Cards = z.object({ data: listOf(Card) });
const Version = z.looseObject({ version: text });
const Sleeping = z.looseObject({ is_sleeping: z.boolean() });

const POLL_MS = 200;
/** Requests that were hung up on are gone within a token or two; a sleep amid running ones has killed engines that answered 200. */
const QUIET_LIMIT_MS = 3_000;
/** vLLM holds nine tenths of its GPU; a sleep that gives back less than this share of what was in use has not happened. */
const FREED_SHARE = 0.3;
const LEAST_MOVE_BYTES = 256 * 2 ** 20;

/**
 * vLLM, adopted or owned: one base model per process, in memory before its port opens, so that a refused connection of a living process
 * means that it is starting. `unload` puts it to sleep where sleep mode is on, or else ends the process that we own; both are believed
 * only when the GPU's own reading agrees, because vLLM has answered 200 to a sleep that freed nothing and to one that killed it.
 *
 * The development routes that sleeping needs are called from this file alone and no path of theirs can come from outside.
 */
export class Vllm implements Runtime {
  readonly kind = 'vllm';
  readonly abilities: RuntimeAbilities;
  readonly #base: URL;
  readonly #headers: Record<string, string>;
  readonly #slots: number;
  readonly #capabilities: readonly string[] | null;
  readonly #learned: LearnedCapabilities | null;
  readonly #sleepLevel: 1 | 2 | null;
  readonly #process: EngineHandle | null;
  readonly #readVramUsedBytes: ReadVramUsedBytes;
  readonly #convinceLimitMs: number | undefined;
  readonly #onClose: () => Promise<void>;
  /** What it served when it was last heard of; a process that was ended to free the GPU still has a model to offer. */
  #cards: readonly z.infer<typeof Card>[] = [];
  /** What the fleet calls them, by vLLM's names. */
  #shown: ReadonlyMap<string, string> = new Map();
  #freedBytes: number | null = null;
  #isPutDown = false;
  #version: string | null = null;
  #state: RuntimeReport['state'] = 'starting';
  #detail: string | null = null;

  constructor(options: {
    url: string;
    apiKey?: string;
    /** Requests side by side (`--max-num-seqs`). */
    slots?: number;
    /** vLLM does not tell what its model can do; who knows it says it. */
    capabilities?: readonly string[];
    /** Otherwise the model is asked, once, with a token or two. */
    probes?: boolean;
    /** It was started with sleep mode and the development routes. Level 1 keeps the weights in RAM, 2 drops them. */
    sleepLevel?: 1 | 2;
    /** The process, when it is ours. */
    process?: EngineHandle;
    readVramUsedBytes?: ReadVramUsedBytes;
    /** How long the GPU may take to show a sleep or a wake-up. */
    convinceLimitMs?: number;
    onClose?: () => Promise<void>;
  }) {
    this.#base = new URL(options.url);
    this.#headers = options.apiKey ? { authorization: `Bearer ${options.apiKey}` } : {};
    this.#slots = options.slots ?? 8;
    this.#capabilities = options.capabilities ?? null;
    this.#learned = options.probes && !options.capabilities ? new LearnedCapabilities() : null;
    this.#sleepLevel = options.sleepLevel ?? null;
    this.#process = options.process ?? null;
    this.#readVramUsedBytes = options.readVramUsedBytes ?? (() => null);
    this.#convinceLimitMs = options.convinceLimitMs;
    this.#onClose = options.onClose ?? (async () => {});
    const canLeaveGpu = this.#sleepLevel !== null || this.#process !== null;
    this.abilities = {
      load: canLeaveGpu,
      unload: canLeaveGpu ? 'kills' : 'no',
      evicts: false,
      spillsToMemory: false,
      pull: false,
      delete: false,
      routes: ['chat.completions', 'completions', 'embeddings'],
    };
  }

  get isDormant(): boolean {
    return this.#isPutDown;
  }

  report(): RuntimeReport {
    return {
      kind: this.kind,
      version: this.#version,
      state: this.#state,
      mode: this.#process ? 'owned' : 'adopted',
      isSimulated: false,
      detail: this.#detail,
    };
  }

  async listModels(signal: AbortSignal): Promise<readonly RuntimeModel[]> {
    if (this.#isPutDown) return this.#describe(false);
    try {
      await this.#checkHealth(signal);
      this.#version ??= (await this.#get('/version', Version, signal)).version;
      const [{ data }, isAsleep] = await Promise.all([this.#get('/v1/models', Cards, signal), this.#isAsleep(signal)]);
      this.#cards = data.entries;
      this.#shown = shownNames(data.entries.map(({ id }) => id));
      this.#become('ready', leftOut('its models', data.strange));
      if (!isAsleep) this.#learn();
      return this.#describe(!isAsleep);
    } catch (error) {
      this.#version = null;
      this.#learned?.forget();
      const isStarting = this.#process?.isAlive() === true && codeOf(error) === 'engine_unreachable';
      this.#become(
        isStarting ? 'starting' : 'failed',
        isStarting ? 'loading its model' : error instanceof RuntimeError ? error.detail : String(error),
      );
      throw error;
    }
  }

  async loadModel(id: string, signal: AbortSignal): Promise<void> {
    this.#mustHave(id);
    await explainedLoad({ engine: this.#process, load: () => this.#load(signal) });
  }

  async #load(signal: AbortSignal): Promise<void> {
    if (this.#isPutDown) {
      this.#isPutDown = false;
      this.#become('starting', 'loading its model');
      this.#process?.start();
      await this.#untilHealthy(signal);
      return;
    }
    if (await this.#isAsleep(signal)) await this.#wakeUp(signal);
  }

  async unloadModel(id: string, signal: AbortSignal): Promise<void> {
    this.#mustHave(id);
    if (this.abilities.unload === 'no')
      throw new RuntimeError('engine_error', 'this vLLM has no sleep mode and is not ours to stop');
    if (this.#isPutDown || (this.#sleepLevel !== null && (await this.#isAsleep(signal)))) return;
    if (this.#sleepLevel === null || !(await this.#sleep(signal))) await this.#putDown();
  }

  /** What it counts about itself. Adopted engines may be at work for others. */
  async figures(signal: AbortSignal): Promise<VllmFigures> {
    return parseVllmMetrics(await this.#text('GET', '/metrics', signal));
  }

  engineName(id: string): string | undefined {
    return [...this.#shown].find(([engineName, shown]) => shown === id && engineName !== id)?.[0];
  }

  endpoint(route: AttemptRoute) {
    return { url: openAiUrl(this.#base, route), headers: this.#headers };
  }

  async close(): Promise<void> {
    this.#become('stopped', null);
    await this.#onClose();
  }

  /** True when it sleeps and the GPU shows it. False when it lied and may be ended instead; throws when it may not. */
  async #sleep(signal: AbortSignal): Promise<boolean> {
    await this.#untilQuiet(signal);
    const before = this.#readVramUsedBytes();
    const answer = await this.#text('POST', `/sleep?level=${this.#sleepLevel}`, signal).catch((error: unknown) => {
      signal.throwIfAborted();
      return error;
    });
    const leastBytes = Math.max(LEAST_MOVE_BYTES, (before ?? 0) * FREED_SHARE);
    const seen = typeof answer === 'string' ? await this.#moved(before, -leastBytes, signal) : 'unmoved';
    const lives =
      seen !== 'unmoved' &&
      (await this.#checkHealth(signal).then(
        () => true,
        () => false,
      ));
    if (lives && (await this.#isAsleep(signal))) {
      const after = this.#readVramUsedBytes();
      this.#freedBytes = before === null || after === null ? null : before - after;
      return true;
    }
    if (this.#process) return false;
    const why =
      answer instanceof RuntimeError ? answer.detail : seen === 'unmoved' ? 'the GPU memory is still in use' : 'it is gone';
    throw new RuntimeError('engine_error', `vLLM was told to sleep: ${why}`);
  }

  async #wakeUp(signal: AbortSignal): Promise<void> {
    const before = this.#readVramUsedBytes();
    if (this.#sleepLevel === 2) {
      // The weights are gone: room for them first, then the weights, then room for everything else.
      await this.#text('POST', '/wake_up?tags=weights', signal);
      await this.#text('POST', '/collective_rpc', signal, { method: 'reload_weights' });
      await this.#text('POST', '/wake_up?tags=kv_cache', signal);
    } else await this.#text('POST', '/wake_up', signal);
    const leastBytes = Math.max(LEAST_MOVE_BYTES, (this.#freedBytes ?? 0) / 2);
    const isAwake = !(await this.#isAsleep(signal));
    const seen = isAwake ? await this.#moved(before, leastBytes, signal) : 'unmoved';
    if (seen === 'unmoved')
      throw new RuntimeError('load_failed', 'vLLM says that it is awake; the GPU memory says that it is not');
    await this.#checkHealth(signal);
  }

  async #putDown(): Promise<void> {
    await this.#process?.stop();
    this.#isPutDown = true;
    this.#become('ready', 'ended to free the GPU; starts with the next load');
  }

  #moved(fromBytes: number | null, bytes: number, signal: AbortSignal) {
    const limit = this.#convinceLimitMs === undefined ? {} : { limitMs: this.#convinceLimitMs };
    return sawVramMove({ read: this.#readVramUsedBytes, fromBytes, bytes, signal, ...limit });
  }

  async #untilQuiet(signal: AbortSignal): Promise<void> {
    const deadlineMs = performance.now() + QUIET_LIMIT_MS;
    while (performance.now() < deadlineMs) {
      const { running, waiting } = await this.figures(signal);
      if ((running ?? 0) + (waiting ?? 0) === 0) return;
      await pause(POLL_MS, undefined, { signal });
    }
  }

  /** A refused connection is a process that loads; one that has died is not waited for. */
  async #untilHealthy(signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        await this.#checkHealth(signal);
        return;
      } catch (error) {
        if (codeOf(error) !== 'engine_unreachable') throw error;
        if (this.#process?.isAlive() === false) throw new RuntimeError('load_failed', 'vLLM ended while it was starting');
      }
      await pause(POLL_MS, undefined, { signal });
    }
  }

  async #checkHealth(signal: AbortSignal): Promise<void> {
    const response = await openEngineRequest({ url: this.#url('/health'), headers: this.#headers, signal });
    await readText(response);
    if (response.statusCode !== 200)
      throw new RuntimeError('engine_crashed', `vLLM says that its engine is dead (${response.statusCode})`);
  }

  async #isAsleep(signal: AbortSignal): Promise<boolean> {
    if (this.#sleepLevel === null) return false;
    return (await this.#get('/is_sleeping', Sleeping, signal)).is_sleeping;
  }

  #describe(isLoaded: boolean): RuntimeModel[] {
    return this.#cards.map((card) => ({
      id: this.#shown.get(card.id) ?? card.id,
      isLoaded,
      isLoading: false,
      capabilities: this.#capabilities ?? this.#learnedOf(card) ?? guessCapabilities(card.id),
      contextLength: card.max_model_len,
      sizeBytes: null,
      vramBytes: null,
      slots: this.#slots,
      expiresAtMs: null,
    }));
  }

  /** Its models are one base model, and what was trained on top of it. */
  #learn(): void {
    const base = this.#cards.find(({ parent }) => parent === null) ?? this.#cards[0];
    if (base && isForChat(base.id)) this.#learned?.learn({ ...this.endpoint('chat.completions'), model: base.id });
  }

  #learnedOf({ id, parent }: z.infer<typeof Card>): readonly string[] | null {
    return this.#learned?.of(id) ?? this.#learned?.of(parent ?? '') ?? null;
  }

  #mustHave(id: string): void {
    if (!this.#cards.some((card) => (this.#shown.get(card.id) ?? card.id) === id))
      throw new RuntimeError('model_not_found', `this vLLM does not serve ${id}`);
  }

  /** Management routes that answer in plain text or not at all. */
  async #text(method: 'GET' | 'POST', path: string, signal: AbortSignal, body?: unknown): Promise<string> {
    const response = await openEngineRequest({
      url: this.#url(path),
      method,
      headers: this.#headers,
      signal,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await readText(response);
    const status = response.statusCode ?? 0;
    if (status < 200 || status > 299)
      throw new RuntimeError(classifyEngineError(status, text), `HTTP ${status}: ${text.slice(0, 1_000)}`);
    return text;
  }

  #get<T>(path: string, schema: z.ZodType<T>, signal: AbortSignal): Promise<T> {
    return callEngine(this.#url(path), schema, { headers: this.#headers, signal });
  }

  #url(path: string): URL {
    return new URL(path, this.#base);
  }

  #become(state: RuntimeReport['state'], detail: string | null): void {
    this.#state = state;
    this.#detail = detail;
  }
}

const isForChat = (id: string): boolean => !/embed|(?:^|[/-])(?:bge|gte|e5)-/i.test(id);

/** Until it is known: tools need flags that vLLM does not report, so they are not promised. */
const guessCapabilities = (id: string): string[] => (isForChat(id) ? ['chat', 'completion', 'json'] : ['embedding']);

const codeOf = (error: unknown) => (error instanceof RuntimeError ? error.code : null);
