import { setTimeout as pause } from 'node:timers/promises';
import type { AttemptRoute } from '@lai/shared/attempt';
import type { RuntimeReport } from '@lai/shared/node';
import { z } from 'zod';
import { contextBytes, type KvShape, kvShape } from './context-bytes.ts';
import { callEngine } from './engine-http.ts';
import { LEAST_CONTEXT, ollamaContext } from './ollama-context.ts';
import { pullFromOllama } from './ollama-pull.ts';
import { openAiUrl, type PullProgress, type Runtime, type RuntimeAbilities, RuntimeError, type RuntimeModel } from './runtime.ts';

const Details = z.looseObject({ context_length: z.number().optional() });

const Tags = z.object({
  models: z.array(
    z.looseObject({
      name: z.string(),
      size: z.number().optional(),
      details: Details.nullish(),
      capabilities: z.array(z.string()).nullish(),
      remote_host: z.string().optional(),
    }),
  ),
});

const Ps = z.object({
  models: z.array(
    z.looseObject({
      name: z.string(),
      size_vram: z.number().optional(),
      context_length: z.number().optional(),
      expires_at: z.string().optional(),
    }),
  ),
});

const Version = z.looseObject({ version: z.string() });
const Show = z.looseObject({
  capabilities: z.array(z.string()).nullish(),
  model_info: z.record(z.string(), z.unknown()).nullish(),
  /** Lines of `name value`, as in a Modelfile. */
  parameters: z.string().nullish(),
});
const Nothing = z.unknown();
const Generated = z.looseObject({ done_reason: z.string().optional() });

/** Ollama's words for what a model can do, in ours. */
const CAPABILITY: Record<string, readonly string[]> = {
  completion: ['chat', 'completion', 'json'],
  tools: ['tools'],
  vision: ['vision'],
  embedding: ['embedding'],
  thinking: ['thinking'],
  audio: ['audio'],
};

const UNLOAD_POLL_MS = 100;

interface Shown {
  readonly capabilities: readonly string[];
  readonly longestContext: number | null;
  /** What its Modelfile asks for. */
  readonly ownContext: number | null;
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
      const loaded = new Map(ps.models.map((model) => [model.name, model]));
      // A model with a remote host is a stub for somebody's cloud: prompts would leave the house.
      const local = tags.models.filter((model) => model.remote_host === undefined);
      for (const name of this.#shown.keys()) if (!local.some((model) => model.name === name)) this.#shown.delete(name);
      for (const { name, context_length } of ps.models) if (context_length) this.#loadedContext.set(name, context_length);
      const models = await Promise.all(
        local.map(async (model) => {
          const running = loaded.get(model.name);
          const shown = await this.#show(model, signal);
          return {
            id: model.name,
            isLoaded: running !== undefined,
            isLoading: false,
            capabilities: shown.capabilities,
            contextLength: this.#contextOf(model.name, shown),
            contextBytes: this.#contextBytesOf(shown),
            sizeBytes: model.size ?? null,
            vramBytes: running?.size_vram ?? null,
            slots: this.#slotsOf(shown),
            expiresAtMs: expiryOf(running?.expires_at),
          };
        }),
      );
      this.#become('ready', null);
      return models;
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
    await callEngine(this.#url('/api/generate'), Generated, {
      method: 'POST',
      body: { model: id, keep_alive: 0, stream: false },
      signal,
    });
    const isListed = async () =>
      (await callEngine(this.#url('/api/ps'), Ps, { signal })).models.some((model) => model.name === id);
    while (await isListed()) await pause(UNLOAD_POLL_MS, undefined, { signal });
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

  #slotsOf({ capabilities }: Shown): number {
    return capabilities.includes('embedding') ? 1 : this.#slots;
  }

  async #show(model: z.infer<typeof Tags>['models'][number], signal: AbortSignal): Promise<Shown> {
    const known = this.#shown.get(model.name);
    if (known) return known;
    // One model whose files are broken must not hide the others.
    const show = await callEngine(this.#url('/api/show'), Show, { method: 'POST', body: { model: model.name }, signal }).catch(
      (error: unknown): z.infer<typeof Show> => {
        if (signal.aborted || !(error instanceof RuntimeError) || error.code === 'engine_unreachable') throw error;
        return {};
      },
    );
    const shown = {
      capabilities: (model.capabilities ?? show.capabilities ?? ['completion']).flatMap((word) => CAPABILITY[word] ?? []),
      longestContext: model.details?.context_length ?? contextOf(show.model_info),
      // A million and more are written as Go writes such numbers: 1.048576e+06.
      ownContext: Number(/^num_ctx\s+(\S+)$/m.exec(show.parameters ?? '')?.[1]) || null,
      kvShape: kvShape(new Map(Object.entries(show.model_info ?? {}))),
    };
    this.#shown.set(model.name, shown);
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

const contextOf = (info: Record<string, unknown> | null | undefined): number | null => {
  const value = Object.entries(info ?? {}).find(([key]) => key.endsWith('.context_length'))?.[1];
  return typeof value === 'number' && value > 0 ? value : null;
};

/** Whole seconds, because its readers of durations differ between versions; they agree on numbers. */
const keepAliveOf = (ms: number | null): number => (ms === null ? -1 : Math.max(1, Math.round(ms / 1_000)));

/** A negative keep_alive shows as an expiry centuries away: that is "never". */
const expiryOf = (text: string | undefined): number | null => {
  const ms = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isFinite(ms) && ms < Date.now() + 100 * 365 * 86_400_000 ? Math.max(0, ms) : null;
};
