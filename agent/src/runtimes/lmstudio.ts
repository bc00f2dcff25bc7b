import { setTimeout as pause } from 'node:timers/promises';
import type { AttemptRoute } from '@lai/shared/attempt';
import type { RuntimeReport } from '@lai/shared/node';
import { z } from 'zod';
import { callEngine } from './engine-http.ts';
import { count, flag, type Listed, leftOut, listOf, name, part, positive, text } from './engine-values.ts';
import { openAiUrl, type PullProgress, type Runtime, type RuntimeAbilities, RuntimeError, type RuntimeModel } from './runtime.ts';

const Model = z.looseObject({
  type: text,
  key: name,
  size_bytes: positive,
  max_context_length: positive,
  loaded_instances: part(
    listOf(z.looseObject({ id: name, config: part(z.looseObject({ context_length: positive, parallel: positive })) })),
  ),
  capabilities: part(z.looseObject({ vision: flag, trained_for_tool_use: flag })),
});
const Models = z.object({ models: listOf(Model) });
const Loaded = z.looseObject({});
const Download = z.looseObject({ job_id: text, status: text, total_size_bytes: count, downloaded_bytes: count });

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
      const { entries, strange } = await this.#models(signal);
      this.#state = 'ready';
      this.#detail = leftOut('its models', strange);
      return entries.map((model) => this.#describe(model));
    } catch (error) {
      this.#state = 'failed';
      this.#detail = error instanceof RuntimeError ? error.detail : String(error);
      throw error;
    }
  }

  /** A second load of one model would make a second copy of it in memory, so a loaded one is left alone. */
  async loadModel(id: string, signal: AbortSignal): Promise<void> {
    if (instancesOf(await this.#find(id, signal)).length > 0) return;
    await callEngine(this.#url('/api/v1/models/load'), Loaded, {
      method: 'POST',
      body: { model: id },
      headers: this.#headers,
      signal,
    });
  }

  async unloadModel(id: string, signal: AbortSignal): Promise<void> {
    for (const { id: instance } of instancesOf(await this.#find(id, signal))) {
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
        stage: job.status ?? '',
        completedBytes: job.downloaded_bytes,
        totalBytes: job.total_size_bytes,
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

  async #models(signal: AbortSignal): Promise<Listed<z.infer<typeof Model>>> {
    return (await callEngine(this.#url('/api/v1/models'), Models, { headers: this.#headers, signal })).models;
  }

  async #find(id: string, signal: AbortSignal): Promise<z.infer<typeof Model>> {
    const model = (await this.#models(signal)).entries.find((candidate) => candidate.key === id);
    if (!model) throw new RuntimeError('model_not_found', `LM Studio does not have ${id}`);
    return model;
  }

  #describe(model: z.infer<typeof Model>): RuntimeModel {
    const instances = instancesOf(model);
    const config = instances[0]?.config;
    const { vision, trained_for_tool_use: tools } = model.capabilities ?? {};
    return {
      id: model.key,
      isLoaded: instances.length > 0,
      isLoading: false,
      capabilities:
        model.type === 'embedding'
          ? ['embedding']
          : ['chat', 'completion', 'json', ...(vision ? ['vision'] : []), ...(tools ? ['tools'] : [])],
      contextLength: config?.context_length ?? model.max_context_length,
      sizeBytes: model.size_bytes,
      vramBytes: null,
      slots: config?.parallel ?? this.#slots,
      expiresAtMs: null,
    };
  }

  #url(path: string): URL {
    return new URL(path, this.#base);
  }
}

const instancesOf = ({ loaded_instances }: z.infer<typeof Model>) => loaded_instances?.entries ?? [];
