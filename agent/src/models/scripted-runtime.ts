import { openAiUrl, type PullProgress, type Runtime, type RuntimeAbilities, type RuntimeModel } from '../runtimes/runtime.ts';

/** A runtime's word about a model. */
export const model = (id: string, facts: Partial<RuntimeModel> = {}): RuntimeModel => ({
  id,
  isLoaded: false,
  isLoading: false,
  capabilities: ['chat'],
  contextLength: 4096,
  sizeBytes: 1e9,
  vramBytes: null,
  slots: 1,
  expiresAtMs: null,
  ...facts,
});

/** For tests: a runtime whose loads, unloads and pulls end when the test says so, and which has the models it is given. */
export class ScriptedRuntime implements Runtime {
  readonly kind = 'mock';
  readonly abilities: RuntimeAbilities = {
    load: true,
    unload: 'polite',
    evicts: false,
    spillsToMemory: false,
    pull: true,
    delete: true,
    routes: ['chat.completions'],
  };
  readonly mode: 'owned' | 'adopted';
  listed: RuntimeModel[] = [];
  readonly calls: string[] = [];
  readonly #pending: { resolve(): void; reject(error: unknown): void }[] = [];
  onProgress: (progress: PullProgress) => void = () => {};

  constructor(options: { mode?: 'owned' | 'adopted'; abilities?: Partial<RuntimeAbilities> } = {}) {
    this.mode = options.mode ?? 'owned';
    this.abilities = { ...this.abilities, ...options.abilities };
  }

  report() {
    return { kind: this.kind, version: null, state: 'ready', mode: this.mode, isSimulated: true, detail: null } as const;
  }

  async listModels(): Promise<readonly RuntimeModel[]> {
    return this.listed;
  }

  loadModel(id: string, signal: AbortSignal): Promise<void> {
    return this.#called(`load ${id}`, signal);
  }

  unloadModel(id: string): Promise<void> {
    return this.#called(`unload ${id}`);
  }

  async keepModel(id: string, isPinned: boolean): Promise<void> {
    this.calls.push(`${isPinned ? 'pin' : 'unpin'} ${id}`);
  }

  pullModel(id: string, onProgress: (progress: PullProgress) => void, signal: AbortSignal): Promise<void> {
    this.onProgress = onProgress;
    return this.#called(`pull ${id}`, signal);
  }

  async deleteModel(id: string): Promise<void> {
    this.calls.push(`delete ${id}`);
    this.listed = this.listed.filter((listed) => listed.id !== id);
  }

  served(id: string): void {
    this.calls.push(`served ${id}`);
  }

  endpoint(route: 'chat.completions') {
    return { url: openAiUrl(new URL('http://127.0.0.1:1'), route), headers: {} };
  }

  async close(): Promise<void> {}

  /** Ends the oldest call that is under way. */
  finish(error?: unknown): void {
    const call = this.#pending.shift();
    if (error === undefined) call?.resolve();
    else call?.reject(error);
  }

  #called(call: string, signal?: AbortSignal): Promise<void> {
    this.calls.push(call);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const pending = { resolve, reject };
    this.#pending.push(pending);
    signal?.addEventListener('abort', () => {
      this.#pending.splice(this.#pending.indexOf(pending), 1);
      reject(signal.reason);
    });
    return promise;
  }
}
