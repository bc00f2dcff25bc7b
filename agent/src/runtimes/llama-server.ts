import { setTimeout as pause } from 'node:timers/promises';
import type { AttemptRoute } from '@lai/shared/attempt';
import type { RuntimeKind, RuntimeReport } from '@lai/shared/node';
import { z } from 'zod';
import { callEngine } from './engine-http.ts';
import { count, flag, leftOut, listOf, name, part, positive, text, words } from './engine-values.ts';
import { explainedLoad } from './explained-load.ts';
import {
  GgufLibrary,
  isLaterPart,
  llamaCapabilities,
  llamaContext,
  llamaContextBytes,
  llamaSizeBytes,
  readLaunch,
} from './llama-model.ts';
import {
  type EngineHandle,
  openAiUrl,
  type PullProgress,
  type Runtime,
  type RuntimeAbilities,
  RuntimeError,
  type RuntimeModel,
} from './runtime.ts';

const Meta = z.looseObject({ n_ctx: positive, n_ctx_train: positive, size: positive });
const Status = z.looseObject({ value: text, failed: flag, exit_code: count, args: words });
type Status = z.infer<typeof Status>;
/** A server of one model tells no status: it has the model in memory. */
const LOADED: Status = { value: 'loaded', failed: null, exit_code: null, args: null };
/** What says something else than we know promises nothing. */
const UNLOADED: Status = { ...LOADED, value: 'unloaded' };
const RouterModel = z.looseObject({
  id: name,
  status: z
    .unknown()
    .optional()
    .transform((value): Status => (value === undefined ? LOADED : (Status.safeParse(value).data ?? UNLOADED))),
  architecture: part(z.looseObject({ input_modalities: words })),
  context_length: positive,
  meta: part(Meta),
});
const Models = z.object({ data: listOf(RouterModel) });
const Props = z.looseObject({ build_info: text });
const Success = z.looseObject({});

const POLL_MS = 50;
const DOWNLOAD_POLL_MS = 500;

export type ModelFacts = Partial<Pick<RuntimeModel, 'slots' | 'capabilities' | 'vramBytes' | 'sizeBytes'>>;

/**
 * llama.cpp's llama-server in router mode (`--models-dir`): loads, unloads and tells the state of each model. Its unload kills a
 * running stream and frees the memory in under a second, and it defers what is beyond its slots without limit, so slots are ours
 * to count. The mock runtime speaks the same dialect through this class.
 */
export class LlamaServer implements Runtime {
  readonly kind: RuntimeKind;
  readonly abilities: RuntimeAbilities;
  readonly #base: URL;
  readonly #mode: RuntimeReport['mode'];
  readonly #isSimulated: boolean;
  readonly #slots: number;
  readonly #facts: (signal: AbortSignal) => Promise<ReadonlyMap<string, ModelFacts>>;
  readonly #headers: Record<string, string>;
  readonly #refresh: () => Promise<boolean>;
  readonly #process: Pick<EngineHandle, 'listen'> | null;
  readonly #onClose: () => Promise<void>;
  readonly #library = new GgufLibrary();
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
    /** Called before each look at its models; true when its folder changed and the router should read it again. */
    refresh?: () => Promise<boolean>;
    /** It may fetch models from Hugging Face by itself (not started with `--offline`) and delete what it fetched. */
    canDownload?: boolean;
    /** The process, when it is ours: the answers tell of a failed load only that it failed, and what is printed tells why. */
    process?: Pick<EngineHandle, 'listen'>;
    onClose?: () => Promise<void>;
  }) {
    this.#base = new URL(options.url);
    this.abilities = {
      load: true,
      unload: 'kills',
      evicts: false,
      spillsToMemory: options.kind === undefined,
      pull: options.canDownload ?? false,
      delete: options.canDownload ?? false,
      routes: ['chat.completions', 'completions', 'embeddings'],
    };
    this.kind = options.kind ?? 'llama-server';
    this.#mode = options.mode ?? 'adopted';
    this.#isSimulated = options.isSimulated ?? false;
    this.#slots = options.slots ?? 1;
    this.#facts = options.facts ?? (async () => new Map());
    this.#headers = options.apiKey ? { authorization: `Bearer ${options.apiKey}` } : {};
    this.#refresh = options.refresh ?? (async () => false);
    this.#process = options.process ?? null;
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
      this.#version ??= (await this.#get('/props', Props, signal)).build_info;
      const path = (await this.#refresh()) ? '/models?reload=1' : '/models';
      const [{ data }, facts] = await Promise.all([this.#get(path, Models, signal), this.#facts(signal)]);
      const looked = await Promise.all(data.entries.map((model) => this.#describe(model)));
      const models = looked.filter((model) => typeof model !== 'string');
      this.#state = 'ready';
      this.#detail = leftOut('its models', [...data.strange, ...looked.filter((model) => typeof model === 'string')]);
      return models.map((model) => ({ ...model, ...facts.get(model.id) }));
    } catch (error) {
      // A process that is up but not listening yet, or still loading its one model, has not failed.
      const isComing = this.#state === 'starting' && this.#mode === 'owned';
      this.#state = isComing || codeOf(error) === 'model_loading' ? 'starting' : 'failed';
      this.#version = null;
      this.#detail = error instanceof RuntimeError ? error.detail : String(error);
      throw error;
    }
  }

  async loadModel(id: string, signal: AbortSignal): Promise<void> {
    let port: number | null = null;
    await explainedLoad({
      engine: this.#process,
      // The router puts the port of each model before what it prints.
      isOthers: (line) => port !== null && /^\[\d+\]/.test(line) && !line.startsWith(`[${port}]`),
      load: async () => {
        await this.#post('/models/load', id, signal, 'already running');
        for (;;) {
          const { value, failed, exit_code, args } = await this.#statusOf(id, signal);
          if (args) port = readLaunch(args).port;
          if (value === 'loaded' || value === 'sleeping') return;
          if (failed || value === 'unloaded') {
            throw new RuntimeError(
              'load_failed',
              `llama-server could not load ${id}${exit_code ? ` (exit code ${exit_code})` : ''}`,
            );
          }
          await pause(POLL_MS, undefined, { signal });
        }
      },
    });
  }

  async unloadModel(id: string, signal: AbortSignal): Promise<void> {
    await this.#post('/models/unload', id, signal, 'not running');
    while ((await this.#statusOf(id, signal)).value !== 'unloaded') await pause(POLL_MS, undefined, { signal });
  }

  /**
   * Answered at once; the router then fetches by itself, tells no bytes, and lists the model when it is there. A download that failed
   * leaves no trace but its absence. It cannot be stopped: aborting only ends the waiting.
   */
  async pullModel(id: string, onProgress: (progress: PullProgress) => void, signal: AbortSignal): Promise<void> {
    await callEngine(this.#url('/models'), Success, { method: 'POST', body: { model: id }, headers: this.#headers, signal });
    for (;;) {
      const { data } = await this.#get('/models', Models, signal);
      const model = data.entries.find((candidate) => candidate.id === id);
      if (model && model.status.value !== 'downloading') return;
      if (!model) throw new RuntimeError('model_not_found', `llama-server could not download ${id}`);
      onProgress({ stage: 'downloading', completedBytes: null, totalBytes: null });
      await pause(DOWNLOAD_POLL_MS, undefined, { signal });
    }
  }

  /** Only what it downloaded; files in a folder of its owner's are not its to delete, and it says so. */
  async deleteModel(id: string, signal: AbortSignal): Promise<void> {
    const url = this.#url('/models');
    url.searchParams.set('model', id);
    await callEngine(url, z.unknown(), { method: 'DELETE', headers: this.#headers, signal });
  }

  endpoint(route: AttemptRoute) {
    return { url: openAiUrl(this.#base, route), headers: this.#headers };
  }

  async close(): Promise<void> {
    this.#state = 'stopped';
    await this.#onClose();
  }

  /** A sentence for what the router lists and nobody can load. */
  async #describe(model: z.infer<typeof RouterModel>): Promise<RuntimeModel | string> {
    const { value: status, args } = model.status;
    const launch = args ? readLaunch(args) : null;
    if (launch?.file && isLaterPart(launch.file)) return `${model.id} is a part of another model`;
    const looked = launch?.file ? await this.#library.look(launch.file) : null;
    if (looked?.kind === 'no_model') return `${model.id} is no model file that can be read (${launch?.file})`;
    const facts = looked?.kind === 'model' ? looked.facts : null;
    const sizeBytes = launch?.file ? await llamaSizeBytes(launch.file, launch.projector) : null;
    const capabilities = llamaCapabilities({
      facts,
      launch,
      modalities: model.architecture?.input_modalities ?? ['text'],
      id: model.id,
    });
    return {
      id: model.id,
      // A sleeping model wakes by itself with the next request; its weights are gone, though.
      isLoaded: status === 'loaded',
      isLoading: status === 'loading' || status === 'downloading',
      capabilities,
      contextLength: llamaContext({
        loaded: model.meta?.n_ctx ?? null,
        trained: facts?.contextLength ?? model.context_length ?? model.meta?.n_ctx_train ?? null,
        launch,
        isEmbedding: capabilities.includes('embedding'),
      }),
      contextBytes: llamaContextBytes(facts, launch),
      sizeBytes: sizeBytes ?? model.meta?.size ?? null,
      vramBytes: null,
      slots: launch?.slots ?? this.#slots,
      expiresAtMs: null,
    };
  }

  async #statusOf(id: string, signal: AbortSignal): Promise<Status> {
    const { data } = await this.#get('/models', Models, signal);
    const model = data.entries.find((candidate) => candidate.id === id);
    if (!model) throw new RuntimeError('model_not_found', `llama-server no longer lists ${id}`);
    return model.status;
  }

  /** Posts and takes "it is so already" for an answer: loading what is loaded is no error to us. */
  async #post(path: string, model: string, signal: AbortSignal, alreadySo: string): Promise<void> {
    try {
      await callEngine(this.#url(path), Success, { method: 'POST', body: { model }, headers: this.#headers, signal });
    } catch (error) {
      if (!(error instanceof RuntimeError && error.detail.includes(alreadySo))) throw error;
    }
  }

  #get<T>(path: string, schema: z.ZodType<T>, signal: AbortSignal): Promise<T> {
    return callEngine(this.#url(path), schema, { headers: this.#headers, signal });
  }

  #url(path: string): URL {
    return new URL(path, this.#base);
  }
}

const codeOf = (error: unknown) => (error instanceof RuntimeError ? error.code : null);
