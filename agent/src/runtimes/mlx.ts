import { setTimeout as pause } from 'node:timers/promises';
import type { AttemptRoute } from '@lai/shared/attempt';
import type { ErrorCode } from '@lai/shared/errors';
import type { RuntimeReport } from '@lai/shared/node';
import { z } from 'zod';
import { classifyEngineError } from './engine-error.ts';
import { callEngine, openEngineRequest, readText } from './engine-http.ts';
import { leftOut, listOf, name } from './engine-values.ts';
import { explainedLoad } from './explained-load.ts';
import { mlxCapabilities } from './mlx-model.ts';
import { shownNames } from './model-folder.ts';
import { type EngineHandle, openAiUrl, type Runtime, type RuntimeAbilities, RuntimeError, type RuntimeModel } from './runtime.ts';

const Models = z.object({ data: listOf(z.looseObject({ id: name })) });
const Completion = z.looseObject({});

const POLL_MS = 200;
const MUTE =
  'mlx_lm.server cannot list its models: it needs the folder ~/.cache/huggingface/hub of the account that it runs in. Create that folder; a restart is not needed.';

/**
 * mlx_lm.server: small, and it tells little. It loads whatever model a request names, one at a time, and gives none back; it says neither
 * which one it has nor that it is well (`/health` is always ok), so this file remembers what answered last. Nothing but its end frees
 * its memory: it can be unloaded only where the process is ours. Every failure of a generation is its 404.
 * Run with 0.32.2: without a Hugging Face cache it cannot list its models, and the answer is empty.
 */
export class MlxServer implements Runtime {
  readonly kind = 'mlx';
  readonly abilities: RuntimeAbilities;
  readonly #base: URL;
  readonly #slots: number;
  readonly #process: EngineHandle | null;
  readonly #onClose: () => Promise<void>;
  /** What the fleet calls its models, by its own names. */
  #models: ReadonlyMap<string, string> = new Map();
  /** By model, from its files. */
  readonly #capabilities = new Map<string, readonly string[]>();
  #inMemory: string | null = null;
  #isPutDown = false;
  #state: RuntimeReport['state'] = 'starting';
  #detail: string | null = null;

  constructor(options: { url: string; slots?: number; process?: EngineHandle; onClose?: () => Promise<void> }) {
    this.#base = new URL(options.url);
    this.#slots = options.slots ?? 1;
    this.#process = options.process ?? null;
    this.#onClose = options.onClose ?? (async () => {});
    this.abilities = {
      load: true,
      unload: this.#process ? 'kills' : 'no',
      evicts: false,
      spillsToMemory: false,
      pull: false,
      delete: false,
      routes: ['chat.completions', 'completions'],
    };
  }

  get isDormant(): boolean {
    return this.#isPutDown;
  }

  report(): RuntimeReport {
    const mode = this.#process ? 'owned' : 'adopted';
    return { kind: this.kind, version: null, state: this.#state, mode, isSimulated: false, detail: this.#detail };
  }

  async listModels(signal: AbortSignal): Promise<readonly RuntimeModel[]> {
    if (this.#isPutDown) return this.#describe();
    try {
      const listed = await callEngine(this.#list, Models, { signal }).catch(async (error: unknown) => {
        if (await this.#isMute(signal)) return null;
        throw error;
      });
      if (listed === null) {
        this.#models = new Map();
        this.#become('ready', MUTE);
        return [];
      }
      const { entries, strange } = listed.data;
      this.#models = shownNames([...new Set(entries.map(({ id }) => id))]);
      await this.#learn();
      this.#become('ready', leftOut('its models', strange));
      return this.#describe();
    } catch (error) {
      this.#inMemory = null;
      const isStarting = this.#process?.isAlive() === true && this.#state === 'starting';
      this.#become(isStarting ? 'starting' : 'failed', error instanceof RuntimeError ? error.detail : String(error));
      throw error;
    }
  }

  /** It crashes inside and answers nothing, with status 200. */
  async #isMute(signal: AbortSignal): Promise<boolean> {
    const response = await openEngineRequest({ url: this.#list, signal });
    return (await readText(response)).trim() === '' && response.statusCode === 200;
  }

  async #learn(): Promise<void> {
    for (const id of this.#models.keys()) {
      if (this.#capabilities.has(id)) continue;
      const found = await mlxCapabilities(id);
      if (found) this.#capabilities.set(id, found);
    }
  }

  get #list(): URL {
    return new URL('/v1/models', this.#base);
  }

  /** The only way to load a model is to have it say something. */
  async loadModel(id: string, signal: AbortSignal): Promise<void> {
    if (![...this.#models.values()].includes(id)) throw new RuntimeError('model_not_found', `mlx_lm.server does not have ${id}`);
    await explainedLoad({ engine: this.#process, load: () => this.#load(id, signal) });
    this.#inMemory = id;
  }

  async #load(id: string, signal: AbortSignal): Promise<void> {
    if (this.#isPutDown) {
      this.#isPutDown = false;
      this.#become('starting', null);
      this.#process?.start();
      await this.#untilListening(signal);
    }
    try {
      await callEngine(openAiUrl(this.#base, 'completions'), Completion, {
        method: 'POST',
        body: { model: this.engineName(id) ?? id, prompt: ' ', max_tokens: 1, stream: false },
        signal,
      });
    } catch (error) {
      // Its 404 was read as everybody's.
      const isMisread = error instanceof RuntimeError && error.code === 'model_not_found';
      throw isMisread ? new RuntimeError(this.classifyError(404, error.detail), error.detail, { cause: error }) : error;
    }
  }

  async unloadModel(id: string): Promise<void> {
    if (this.#process === null)
      throw new RuntimeError('engine_error', 'this mlx_lm.server is not ours to stop, and nothing else frees its memory');
    if (this.#inMemory !== id) return;
    await this.#process.stop();
    this.#inMemory = null;
    this.#isPutDown = true;
    this.#become('ready', 'ended to free the memory; starts with the next load');
  }

  served(id: string): void {
    this.#inMemory = id;
  }

  /** 404 is its word for everything that went wrong while generating; only what names a missing repository or file is about the model. */
  classifyError(status: number, text: string): ErrorCode {
    if (status !== 404) return classifyEngineError(status, text);
    if (
      /repository not found|404 client error|no such file|not a local folder|is not a valid model|locate the files on the hub|snapshot folder/i.test(
        text,
      )
    )
      return 'model_not_found';
    return classifyEngineError(500, text);
  }

  engineName(id: string): string | undefined {
    return [...this.#models].find(([engineName, shown]) => shown === id && engineName !== id)?.[0];
  }

  endpoint(route: AttemptRoute) {
    return { url: openAiUrl(this.#base, route), headers: {} };
  }

  async close(): Promise<void> {
    this.#become('stopped', null);
    await this.#onClose();
  }

  /** A refused connection is a process that starts; one that has died is not waited for. */
  async #untilListening(signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        await callEngine(this.#list, Models, { signal });
        return;
      } catch (error) {
        if (!(error instanceof RuntimeError) || error.code !== 'engine_unreachable') throw error;
        if (this.#process?.isAlive() === false)
          throw new RuntimeError('load_failed', 'mlx_lm.server ended while it was starting');
      }
      await pause(POLL_MS, undefined, { signal });
    }
  }

  #describe(): RuntimeModel[] {
    return [...this.#models].map(([engineName, id]) => ({
      id,
      isLoaded: this.#inMemory === id,
      isLoading: false,
      capabilities: this.#capabilities.get(engineName) ?? ['chat', 'completion'],
      contextLength: null,
      sizeBytes: null,
      vramBytes: null,
      slots: this.#slots,
      expiresAtMs: null,
    }));
  }

  #become(state: RuntimeReport['state'], detail: string | null): void {
    this.#state = state;
    this.#detail = detail;
  }
}
