import { setTimeout as pause } from 'node:timers/promises';
import type { AttemptRoute } from '@lai/shared/attempt';
import type { RuntimeReport } from '@lai/shared/node';
import { z } from 'zod';
import { callEngine } from './engine-http.ts';
import { openAiUrl, type Runtime, type RuntimeAbilities, RuntimeError, type RuntimeModel } from './runtime.ts';

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
});
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

/**
 * Ollama, adopted or owned: native routes for everything about models, /v1 for inference. Traps it is written around:
 * `/api/ps` is silent while a model loads and lists a crashed runner as loaded; `keep_alive` does not exist on /v1, so loading
 * sets it; an unload answers at once and takes effect when the running generation ends.
 */
export class Ollama implements Runtime {
  readonly kind = 'ollama';
  readonly abilities: RuntimeAbilities = {
    load: true,
    unload: 'polite',
    routes: ['chat.completions', 'completions', 'embeddings'],
  };
  readonly #base: URL;
  readonly #mode: RuntimeReport['mode'];
  readonly #slots: number;
  readonly #keepAlive: string;
  /** Capabilities and context by model name; older Ollama tells them only through /api/show. Dropped when the model is gone. */
  readonly #shown = new Map<string, { capabilities: readonly string[]; contextLength: number | null }>();
  #version: string | null = null;
  #state: RuntimeReport['state'] = 'starting';
  #detail: string | null = null;

  constructor(options: { url: string; mode?: RuntimeReport['mode']; slots?: number; keepAlive?: string }) {
    this.#base = new URL(options.url);
    this.#mode = options.mode ?? 'adopted';
    // OLLAMA_NUM_PARALLEL is 1 unless its owner said otherwise, and Ollama does not tell.
    this.#slots = options.slots ?? 1;
    this.#keepAlive = options.keepAlive ?? '10m';
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
      const models = await Promise.all(
        local.map(async (model) => {
          const running = loaded.get(model.name);
          const shown = await this.#show(model, signal);
          return {
            id: model.name,
            isLoaded: running !== undefined,
            isLoading: false,
            capabilities: shown.capabilities,
            contextLength: running?.context_length ?? shown.contextLength,
            sizeBytes: model.size ?? null,
            vramBytes: running?.size_vram ?? null,
            slots: shown.capabilities.includes('embedding') ? 1 : this.#slots,
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
    await callEngine(this.#url('/api/generate'), Generated, {
      method: 'POST',
      body: { model: id, keep_alive: this.#keepAlive, stream: false },
      signal,
    });
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

  endpoint(route: AttemptRoute) {
    return { url: openAiUrl(this.#base, route), headers: {} };
  }

  async close(): Promise<void> {
    this.#become('stopped', null);
  }

  async #show(model: z.infer<typeof Tags>['models'][number], signal: AbortSignal) {
    const known = this.#shown.get(model.name);
    if (known) return known;
    const fromTags = model.capabilities && model.details?.context_length !== undefined;
    const show = fromTags
      ? { capabilities: model.capabilities, model_info: null }
      : await callEngine(this.#url('/api/show'), Show, { method: 'POST', body: { model: model.name }, signal });
    const shown = {
      capabilities: (show.capabilities ?? ['completion']).flatMap((word) => CAPABILITY[word] ?? []),
      contextLength: model.details?.context_length ?? contextOf(show.model_info),
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

/** A negative keep_alive shows as an expiry centuries away: that is "never". */
const expiryOf = (text: string | undefined): number | null => {
  const ms = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isFinite(ms) && ms < Date.now() + 100 * 365 * 86_400_000 ? Math.max(0, ms) : null;
};
