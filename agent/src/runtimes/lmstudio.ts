import { setTimeout as pause } from 'node:timers/promises';
import type { AttemptRoute } from '@lai/shared/attempt';
import type { RuntimeReport } from '@lai/shared/node';
import { z } from 'zod';
import { callEngine } from './engine-http.ts';
import { openAiUrl, type PullProgress, type Runtime, type RuntimeAbilities, RuntimeError, type RuntimeModel } from './runtime.ts';

const Model = z.looseObject({
  type: z.string(),
  key: z.string(),
  size_bytes: z.number().nullish(),
  max_context_length: z.number().nullish(),
  loaded_instances: z.array(
    z.looseObject({
      id: z.string(),
      config: z.looseObject({ context_length: z.number().nullish(), parallel: z.number().nullish() }).nullish(),
    }),
  ),
  capabilities: z.looseObject({ vision: z.boolean().nullish(), trained_for_tool_use: z.boolean().nullish() }).nullish(),
});
const Models = z.object({ models: z.array(Model) });
const Loaded = z.looseObject({});
const Download = z.looseObject({
  job_id: z.string().nullish(),
  status: z.string(),
  total_size_bytes: z.number().nullish(),
  downloaded_bytes: z.number().nullish(),
});

const DOWNLOAD_POLL_MS = 500;

/**
 * LM Studio, adopted only: closed source, its owner's own program. Its native API (`/api/v1`, since 0.4.0) tells and changes which models
 * are in memory; inference goes to `/v1`. Written from its documentation, not run: that an unload cuts a running answer off is assumed,
 * so whoever unloads lets answers finish first.
 */
export class LmStudio implements Runtime {
  readonly kind = 'lmstudio';
  readonly abilities: RuntimeAbilities = {
    load: true,
    unload: 'kills',
    evicts: false,
    spillsToMemory: true,
    pull: true,
    delete: false,
    routes: ['chat.completions', 'completions', 'embeddings'],
  };
  readonly #base: URL;
  readonly #headers: Record<string, string>;
  readonly #slots: number;
  #state: RuntimeReport['state'] = 'starting';
  #detail: string | null = null;

  constructor(options: { url: string; apiKey?: string; slots?: number }) {
    this.#base = new URL(options.url);
    this.#headers = options.apiKey ? { authorization: `Bearer ${options.apiKey}` } : {};
    this.#slots = options.slots ?? 1;
  }

  report(): RuntimeReport {
    // It has no route that tells its version.
    return { kind: this.kind, version: null, state: this.#state, mode: 'adopted', isSimulated: false, detail: this.#detail };
  }

  async listModels(signal: AbortSignal): Promise<readonly RuntimeModel[]> {
    try {
      const models = await this.#models(signal);
      this.#state = 'ready';
      this.#detail = null;
      return models.map((model) => this.#describe(model));
    } catch (error) {
      this.#state = 'failed';
      this.#detail = error instanceof RuntimeError ? error.detail : String(error);
      throw error;
    }
  }

  /** A second load of one model would make a second copy of it in memory, so a loaded one is left alone. */
  async loadModel(id: string, signal: AbortSignal): Promise<void> {
    if ((await this.#find(id, signal)).loaded_instances.length > 0) return;
    await callEngine(this.#url('/api/v1/models/load'), Loaded, {
      method: 'POST',
      body: { model: id },
      headers: this.#headers,
      signal,
    });
  }

  async unloadModel(id: string, signal: AbortSignal): Promise<void> {
    for (const { id: instance } of (await this.#find(id, signal)).loaded_instances) {
      await callEngine(this.#url('/api/v1/models/unload'), Loaded, {
        method: 'POST',
        body: { instance_id: instance },
        headers: this.#headers,
        signal,
      });
    }
  }

  /** LM Studio goes on downloading by itself and has no route that stops it: aborting only ends the waiting. */
  async pullModel(id: string, onProgress: (progress: PullProgress) => void, signal: AbortSignal): Promise<void> {
    let job = await callEngine(this.#url('/api/v1/models/download'), Download, {
      method: 'POST',
      body: { model: id },
      headers: this.#headers,
      signal,
    });
    const jobId = job.job_id;
    for (;;) {
      if (job.status === 'completed' || job.status === 'already_downloaded') return;
      if (job.status === 'failed') throw new RuntimeError('engine_error', `LM Studio could not download ${id}`);
      if (!jobId) throw new RuntimeError('engine_error', `LM Studio named no job for the download of ${id}`);
      onProgress({
        stage: job.status,
        completedBytes: job.downloaded_bytes ?? null,
        totalBytes: job.total_size_bytes ?? null,
      });
      await pause(DOWNLOAD_POLL_MS, undefined, { signal });
      job = await callEngine(this.#url(`/api/v1/models/download/status/${encodeURIComponent(jobId)}`), Download, {
        headers: this.#headers,
        signal,
      });
    }
  }

  endpoint(route: AttemptRoute) {
    return { url: openAiUrl(this.#base, route), headers: this.#headers };
  }

  async close(): Promise<void> {
    this.#state = 'stopped';
  }

  async #models(signal: AbortSignal): Promise<z.infer<typeof Model>[]> {
    return (await callEngine(this.#url('/api/v1/models'), Models, { headers: this.#headers, signal })).models;
  }

  async #find(id: string, signal: AbortSignal): Promise<z.infer<typeof Model>> {
    const model = (await this.#models(signal)).find((candidate) => candidate.key === id);
    if (!model) throw new RuntimeError('model_not_found', `LM Studio does not have ${id}`);
    return model;
  }

  #describe(model: z.infer<typeof Model>): RuntimeModel {
    const config = model.loaded_instances[0]?.config;
    const { vision, trained_for_tool_use: tools } = model.capabilities ?? {};
    return {
      id: model.key,
      isLoaded: model.loaded_instances.length > 0,
      isLoading: false,
      capabilities:
        model.type === 'embedding'
          ? ['embedding']
          : ['chat', 'completion', 'json', ...(vision ? ['vision'] : []), ...(tools ? ['tools'] : [])],
      contextLength: config?.context_length ?? model.max_context_length ?? null,
      sizeBytes: model.size_bytes ?? null,
      vramBytes: null,
      slots: config?.parallel ?? this.#slots,
      expiresAtMs: null,
    };
  }

  #url(path: string): URL {
    return new URL(path, this.#base);
  }
}
