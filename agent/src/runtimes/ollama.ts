import { setTimeout as pause } from 'node:timers/promises';
import type { AttemptRoute } from '@lai/shared/attempt';
import type { RuntimeReport } from '@lai/shared/node';
import { z } from 'zod';
import { contextBytes, type KvShape, kvShape } from './context-bytes.ts';
import { callEngine } from './engine-http.ts';
import { count, leftOut, listOf, name, part, positive, text, words } from './engine-values.ts';
import { inTurns } from './in-turns.ts';
import { LEAST_CONTEXT, ollamaContext } from './ollama-context.ts';
import { pullFromOllama } from './ollama-pull.ts';
import { runsAs } from './ollama-runners.ts';
import { openAiUrl, type PullProgress, type Runtime, type RuntimeAbilities, RuntimeError, type RuntimeModel } from './runtime.ts';

const Tag = z.looseObject({
  name,
  digest: text,
  size: positive,
  details: part(z.looseObject({ context_length: positive })),
  capabilities: words,
  remote_host: text,
});
type Tag = z.infer<typeof Tag>;
const Tags = z.object({ models: listOf(Tag) });

const Runner = z.looseObject({ name, digest: text, size_vram: count, context_length: positive, expires_at: text });
type Runner = z.infer<typeof Runner>;
const Ps = z.object({ models: listOf(Runner) });

const Version = z.looseObject({ version: text });
const Show = z.looseObject({
  capabilities: words,
  model_info: part(z.record(z.string(), z.unknown())),
  /** Lines of `name value`, as in a Modelfile. */
  parameters: text,
});
const Nothing = z.unknown();
const Generated = z.looseObject({});

/** Ollama's words for what a model can do, in ours. */
const CAPABILITY: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    completion: ['chat', 'completion', 'json'],
    tools: ['tools'],
    vision: ['vision'],
    embedding: ['embedding'],
    thinking: ['thinking'],
    audio: ['audio'],
  }),
);

const UNLOAD_POLL_MS = 100;
/** Questions about single models at once: a library of hundreds must not take the engine from its users. */
const SHOWS_AT_ONCE = 8;

interface Shown {
  /** Of the model that this was said of. */
  readonly digest: string | null;
  readonly capabilities: readonly string[];
  readonly longestContext: number | null;
  /** What its Modelfile asks for. */
  readonly ownContext: number | null;
  /** Its Modelfile keeps it off the GPU. */
  readonly staysOnCpu: boolean;
  readonly kvShape: KvShape | null;
}

/**
 * Ollama, adopted or owned: native routes for everything about models, /v1 for inference. Traps it is written around:
 * `/api/ps` is silent while a model loads and lists a crashed runner as loaded; `keep_alive` does not exist on /v1 and sticks, so
 * loading sets it; an unload answers at once and takes effect when the running generation ends; another `num_ctx` would reload the
 * model, so none is ever sent; a cold model's context is not what it could have but what Ollama will give it.
 */
export class Ollama implements Runtime {
  readonly kind = 'ollama';
  readonly abilities: RuntimeAbilities = {
    load: true,
    unload: 'polite',
    evicts: true,
    spillsToMemory: true,
    pull: true,
    delete: true,
    routes: ['chat.completions', 'completions', 'embeddings'],
  };
  readonly #base: URL;
  readonly #mode: RuntimeReport['mode'];
  readonly #slots: number;
  readonly #keepAlive: number;
  readonly #readVramTotalBytes: () => number | null;
  readonly #configuredContext: number | null;
  /** Capabilities and context by model name; older Ollama tells them only through /api/show. Dropped when the model is gone. */
  readonly #shown = new Map<string, Shown>();
  /** The context each model last had when it was loaded here: the best guess at what it will have next time. */
  readonly #loadedContext = new Map<string, number>();
  readonly #onClose: () => Promise<void>;
  #version: string | null = null;
  #state: RuntimeReport['state'] = 'starting';
  #detail: string | null = null;

  constructor(options: {
    url: string;
    mode?: RuntimeReport['mode'];
    slots?: number;
    /** How long Ollama keeps an idle model by itself; null: for ever. */
    keepMs?: number | null;
    /** Its `OLLAMA_CONTEXT_LENGTH`, where known. */
    contextLength?: number;
    /** Of all GPUs: what Ollama's default context depends on. Null when not known. */
    readVramTotalBytes?: () => number | null;
    onClose?: () => Promise<void>;
  }) {
    this.#base = new URL(options.url);
    this.#mode = options.mode ?? 'adopted';
    // OLLAMA_NUM_PARALLEL is 1 unless its owner said otherwise, and Ollama does not tell.
    this.#slots = options.slots ?? 1;
    this.#keepAlive = keepAliveOf(options.keepMs === undefined ? 10 * 60_000 : options.keepMs);
    this.#configuredContext = options.contextLength ?? null;
    this.#readVramTotalBytes = options.readVramTotalBytes ?? (() => null);
    this.#onClose = options.onClose ?? (async () => {});
  }

  report(): RuntimeReport {
    return {
      kind: this.kind,
      version: this.#version,
      state: this.#state,
      mode: this.#mode,
      isSimulated: false,
      detail: this.#detail,
    };
  }

  async listModels(signal: AbortSignal): Promise<readonly RuntimeModel[]> {
    try {
      this.#version ??= (await callEngine(this.#url('/api/version'), Version, { signal })).version;
      const [tags, ps] = await Promise.all([
        callEngine(this.#url('/api/tags'), Tags, { signal }),
        callEngine(this.#url('/api/ps'), Ps, { signal }),
      ]);
      // A model with a remote host is a stub for somebody's cloud: prompts would leave the house.
      const local = tags.models.entries.filter((model) => model.remote_host === null);
      for (const known of this.#shown.keys()) if (!local.some((model) => model.name === known)) this.#shown.delete(known);
      const { byModel, unlisted } = runsAs(tags.models.entries, ps.models.entries);
      const models = await inTurns(local, SHOWS_AT_ONCE, async (model) => {
        const running = byModel.get(model.name) ?? null;
        if (running?.context_length) this.#loadedContext.set(model.name, running.context_length);
        return this.#describe(model, running, await this.#show(model, signal));
      });
      this.#become('ready', leftOut('its models', [...tags.models.strange, ...ps.models.strange]));
      return [...models, ...unlisted.map(held)];
    } catch (error) {
      this.#version = null;
      this.#become('failed', error instanceof RuntimeError ? error.detail : String(error));
      throw error;
    }
  }

  async loadModel(id: string, signal: AbortSignal): Promise<void> {
    await this.#touch(id, this.#keepAlive, signal);
  }

  async unloadModel(id: string, signal: AbortSignal): Promise<void> {
    const runner = await this.#runnerOf(id, signal);
    await callEngine(this.#url('/api/generate'), Generated, {
      method: 'POST',
      body: { model: id, keep_alive: 0, stream: false },
      signal,
    }).catch((error: unknown) => {
      if (runner === undefined || !(error instanceof RuntimeError) || error.code !== 'model_not_found') throw error;
      throw new RuntimeError(
        'engine_error',
        `Ollama holds ${id} in memory, which is deleted, and unloads it only when it is restarted`,
      );
    });
    while (await this.#runnerOf(id, signal)) await pause(UNLOAD_POLL_MS, undefined, { signal });
  }

  /** What holds the model in memory, under whichever name. */
  async #runnerOf(id: string, signal: AbortSignal): Promise<Runner | undefined> {
    const digest = this.#shown.get(id)?.digest ?? null;
    const runners = (await callEngine(this.#url('/api/ps'), Ps, { signal })).models.entries;
    return runsAs([{ name: id, digest }], runners).byModel.get(id);
  }

  #describe(model: Tag, running: Runner | null, shown: Shown): RuntimeModel {
    return {
      id: model.name,
      digest: model.digest,
      isLoaded: running !== null,
      isLoading: false,
      capabilities: shown.capabilities,
      contextLength: this.#contextOf(model.name, shown),
      contextBytes: this.#contextBytesOf(shown),
      sizeBytes: model.size,
      vramBytes: running?.size_vram ?? null,
      slots: this.#slotsOf(shown),
      expiresAtMs: expiryOf(running?.expires_at ?? null),
      staysOnCpu: shown.staysOnCpu,
    };
  }

  /** A negative timer never runs out. */
  async keepModel(id: string, isPinned: boolean, signal: AbortSignal): Promise<void> {
    await this.#touch(id, isPinned ? -1 : this.#keepAlive, signal);
  }

  async pullModel(id: string, onProgress: (progress: PullProgress) => void, signal: AbortSignal): Promise<void> {
    await pullFromOllama({ url: this.#url('/api/pull'), model: id, onProgress, signal });
  }

  async deleteModel(id: string, signal: AbortSignal): Promise<void> {
    await callEngine(this.#url('/api/delete'), Nothing, { method: 'DELETE', body: { model: id }, signal });
    this.#shown.delete(id);
    this.#loadedContext.delete(id);
  }

  endpoint(route: AttemptRoute) {
    return { url: openAiUrl(this.#base, route), headers: {} };
  }

  async close(): Promise<void> {
    this.#become('stopped', null);
    await this.#onClose();
  }

  /** An empty request loads the model and winds its timer; one that only makes vectors has to be asked for nothing by another route. */
  async #touch(id: string, keepAlive: number, signal: AbortSignal): Promise<void> {
    const isForVectors = this.#shown.get(id)?.capabilities.includes('embedding') === true;
    const empty = isForVectors ? { input: '' } : { stream: false };
    await callEngine(this.#url(isForVectors ? '/api/embed' : '/api/generate'), Generated, {
      method: 'POST',
      body: { model: id, keep_alive: keepAlive, ...empty },
      signal,
    });
  }

  #contextOf(name: string, { longestContext, ownContext }: Shown): number {
    return (
      this.#loadedContext.get(name) ??
      ollamaContext({
        longest: longestContext,
        wanted: ownContext ?? this.#configuredContext,
        vramTotalBytes: this.#readVramTotalBytes(),
      })
    );
  }

  /** What a load cannot do without: a context that nobody asked for is made smaller until it fits (its server/sched.go). */
  #contextBytesOf(shown: Shown): number | null {
    if (shown.kvShape === null || shown.capabilities.includes('embedding')) return null;
    const wanted = shown.ownContext ?? this.#configuredContext ?? LEAST_CONTEXT;
    return contextBytes(shown.kvShape, { tokens: Math.min(wanted, shown.longestContext ?? wanted) * this.#slotsOf(shown) });
  }

  #slotsOf({ capabilities }: Pick<Shown, 'capabilities'>): number {
    return capabilities.includes('embedding') ? 1 : this.#slots;
  }

  async #show(model: Tag, signal: AbortSignal): Promise<Shown> {
    const known = this.#shown.get(model.name);
    if (known && known.digest === model.digest) return known;
    // One model whose files are broken must not hide the others; of what it can do nothing is known.
    const show = await callEngine(this.#url('/api/show'), Show, { method: 'POST', body: { model: model.name }, signal }).catch(
      (error: unknown) => {
        if (signal.aborted || !(error instanceof RuntimeError) || error.code === 'engine_unreachable') throw error;
        return null;
      },
    );
    const said = model.capabilities ?? (show === null ? [] : (show.capabilities ?? ['completion']));
    const shown = {
      digest: model.digest,
      capabilities: [...new Set(said.flatMap((word) => CAPABILITY.get(word) ?? []))],
      longestContext: model.details?.context_length ?? contextOf(show?.model_info ?? null),
      // A million and more are written as Go writes such numbers: 1.048576e+06.
      ownContext: parameterOf(show?.parameters ?? null, 'num_ctx') || null,
      staysOnCpu: parameterOf(show?.parameters ?? null, 'num_gpu') === 0,
      kvShape: kvShape(new Map(Object.entries(show?.model_info ?? {}))),
    };
    // It is asked again where it has not said.
    if (show !== null) this.#shown.set(model.name, shown);
    return shown;
  }

  #url(path: string): URL {
    return new URL(path, this.#base);
  }

  #become(state: RuntimeReport['state'], detail: string | null): void {
    this.#state = state;
    this.#detail = detail;
  }
}

/** In memory, and no longer in the catalogue or replaced there: it cannot be asked for, and it takes room. */
const held = ({ id, size_vram, expires_at }: Runner & { id: string }): RuntimeModel => ({
  id,
  isLoaded: true,
  isLoading: false,
  capabilities: [],
  contextLength: null,
  sizeBytes: null,
  vramBytes: size_vram,
  slots: 0,
  expiresAtMs: expiryOf(expires_at),
});

const contextOf = (info: Record<string, unknown> | null): number | null => {
  const value = Object.entries(info ?? {}).find(([key]) => key.endsWith('.context_length'))?.[1];
  return positive.parse(value);
};

/** A whole number that a Modelfile states; null where it does not. */
const parameterOf = (parameters: string | null, wanted: string): number | null => {
  const [, value] = new RegExp(`^${wanted}\\s+(\\S+)$`, 'm').exec(parameters ?? '') ?? [];
  return value === undefined ? null : count.parse(Number(value));
};

/** Whole seconds, because its readers of durations differ between versions; they agree on numbers. */
const keepAliveOf = (ms: number | null): number => (ms === null ? -1 : Math.max(1, Math.round(ms / 1_000)));

/** A negative keep_alive shows as an expiry centuries away: that is "never". */
const expiryOf = (time: string | null): number | null => {
  const ms = Date.parse(time ?? '');
  return Number.isFinite(ms) && ms < Date.now() + 100 * 365 * 86_400_000 ? Math.max(0, ms) : null;
};
