import { setTimeout as pause } from 'node:timers/promises';
import type { AttemptRoute } from '@lai/shared/attempt';
import type { RuntimeKind, RuntimeReport } from '@lai/shared/node';
import { z } from 'zod';
import { callEngine } from './engine-http.ts';
import { openAiUrl, type Runtime, type RuntimeAbilities, RuntimeError, type RuntimeModel } from './runtime.ts';

const Meta = z.looseObject({ n_ctx: z.number().optional(), n_ctx_train: z.number().optional(), size: z.number().optional() });
const RouterModel = z.looseObject({
  id: z.string(),
  status: z.looseObject({ value: z.string(), failed: z.boolean().optional(), exit_code: z.number().optional() }).optional(),
  architecture: z.looseObject({ input_modalities: z.array(z.string()).optional() }).nullish(),
  context_length: z.number().nullish(),
  meta: Meta.nullish(),
});
const Models = z.object({ data: z.array(RouterModel) });
const Props = z.looseObject({
  total_slots: z.number().optional(),
  build_info: z.string().optional(),
  role: z.string().optional(),
});
const Success = z.looseObject({ success: z.boolean().optional() });

const POLL_MS = 50;

export type ModelFacts = Partial<Pick<RuntimeModel, 'slots' | 'capabilities' | 'vramBytes' | 'sizeBytes'>>;

/**
 * llama.cpp's llama-server in router mode (`--models-dir`): loads, unloads and tells the state of each model. Its unload kills a
 * running stream and frees the memory in under a second, and it defers what is beyond its slots without limit, so slots are ours
 * to count. The mock runtime speaks the same dialect through this class.
 */
export class LlamaServer implements Runtime {
  readonly kind: RuntimeKind;
  readonly abilities: RuntimeAbilities = {
    load: true,
    unload: 'kills',
    routes: ['chat.completions', 'completions', 'embeddings'],
  };
  readonly #base: URL;
  readonly #mode: RuntimeReport['mode'];
  readonly #isSimulated: boolean;
  readonly #slots: number;
  readonly #facts: (signal: AbortSignal) => Promise<ReadonlyMap<string, ModelFacts>>;
  readonly #headers: Record<string, string>;
  readonly #onClose: () => Promise<void>;
  #version: string | null = null;
  #state: RuntimeReport['state'] = 'starting';
  #detail: string | null = null;

  constructor(options: {
    url: string;
    kind?: RuntimeKind;
    mode?: RuntimeReport['mode'];
    isSimulated?: boolean;
    /** `-np` the server was started with. */
    slots?: number;
    apiKey?: string;
    /** What is known of its models from elsewhere; wins over what the server says. */
    facts?: (signal: AbortSignal) => Promise<ReadonlyMap<string, ModelFacts>>;
    onClose?: () => Promise<void>;
  }) {
    this.#base = new URL(options.url);
    this.kind = options.kind ?? 'llama-server';
    this.#mode = options.mode ?? 'adopted';
    this.#isSimulated = options.isSimulated ?? false;
    this.#slots = options.slots ?? 1;
    this.#facts = options.facts ?? (async () => new Map());
    this.#headers = options.apiKey ? { authorization: `Bearer ${options.apiKey}` } : {};
    this.#onClose = options.onClose ?? (async () => {});
  }

  report(): RuntimeReport {
    return {
      kind: this.kind,
      version: this.#version,
      state: this.#state,
      mode: this.#mode,
      isSimulated: this.#isSimulated,
      detail: this.#detail,
    };
  }

  async listModels(signal: AbortSignal): Promise<readonly RuntimeModel[]> {
    try {
      this.#version ??= (await this.#get('/props', Props, signal)).build_info ?? null;
      const [{ data }, facts] = await Promise.all([this.#get('/models', Models, signal), this.#facts(signal)]);
      this.#state = 'ready';
      this.#detail = null;
      return data.map((model) => ({ ...this.#describe(model), ...facts.get(model.id) }));
    } catch (error) {
      this.#state = 'failed';
      this.#version = null;
      this.#detail = error instanceof RuntimeError ? error.detail : String(error);
      throw error;
    }
  }

  async loadModel(id: string, signal: AbortSignal): Promise<void> {
    await this.#post('/models/load', id, signal, 'already running');
    for (;;) {
      const status = await this.#statusOf(id, signal);
      if (status.value === 'loaded' || status.value === 'sleeping') return;
      if (status.failed || status.value === 'unloaded') {
        throw new RuntimeError(
          'load_failed',
          `llama-server could not load ${id}${status.exit_code ? ` (exit code ${status.exit_code})` : ''}`,
        );
      }
      await pause(POLL_MS, undefined, { signal });
    }
  }

  async unloadModel(id: string, signal: AbortSignal): Promise<void> {
    await this.#post('/models/unload', id, signal, 'not running');
    while ((await this.#statusOf(id, signal)).value !== 'unloaded') await pause(POLL_MS, undefined, { signal });
  }

  endpoint(route: AttemptRoute) {
    return { url: openAiUrl(this.#base, route), headers: this.#headers };
  }

  async close(): Promise<void> {
    this.#state = 'stopped';
    await this.#onClose();
  }

  #describe(model: z.infer<typeof RouterModel>): RuntimeModel {
    const status = model.status?.value ?? 'loaded';
    const isEmbedding = /embed/i.test(model.id);
    const modalities = model.architecture?.input_modalities ?? ['text'];
    return {
      id: model.id,
      // A sleeping model wakes by itself with the next request; its weights are gone, though.
      isLoaded: status === 'loaded',
      isLoading: status === 'loading' || status === 'downloading',
      capabilities: isEmbedding
        ? ['embedding']
        : [
            'chat',
            'completion',
            'json',
            'tools',
            ...(modalities.includes('image') ? ['vision'] : []),
            ...(modalities.includes('audio') ? ['audio'] : []),
          ],
      contextLength: model.meta?.n_ctx ?? model.context_length ?? model.meta?.n_ctx_train ?? null,
      sizeBytes: model.meta?.size ?? null,
      vramBytes: null,
      slots: this.#slots,
      expiresAtMs: null,
    };
  }

  async #statusOf(id: string, signal: AbortSignal) {
    const { data } = await this.#get('/models', Models, signal);
    const model = data.find((candidate) => candidate.id === id);
    if (!model) throw new RuntimeError('model_not_found', `llama-server no longer lists ${id}`);
    return model.status ?? { value: 'loaded' };
  }

  /** Posts and takes "it is so already" for an answer: loading what is loaded is no error to us. */
  async #post(path: string, model: string, signal: AbortSignal, alreadySo: string): Promise<void> {
    try {
      await callEngine(new URL(path, this.#base), Success, { method: 'POST', body: { model }, headers: this.#headers, signal });
    } catch (error) {
      if (!(error instanceof RuntimeError && error.detail.includes(alreadySo))) throw error;
    }
  }

  #get<T>(path: string, schema: z.ZodType<T>, signal: AbortSignal): Promise<T> {
    return callEngine(new URL(path, this.#base), schema, { headers: this.#headers, signal });
  }
}
