import type { AttemptRoute } from '@lai/shared/attempt';
import type { ErrorCode } from '@lai/shared/errors';
import type { RuntimeKind, RuntimeReport } from '@lai/shared/node';

/** What a runtime says about one of its models when asked. `isLoaded` is its claim; models/ decides what we believe. */
export interface RuntimeModel {
  readonly id: string;
  /** Of the same words: one model under several names, which are one copy in memory. Null or absent where the engine does not tell. */
  readonly digest?: string | null;
  readonly isLoaded: boolean;
  /** Set by runtimes that tell (llama-server's router); Ollama says nothing while it loads. */
  readonly isLoading: boolean;
  readonly capabilities: readonly string[];
  readonly contextLength: number | null;
  /** See `LoadedModel`. Also of a cold model: what a load will need beside the weights, at least. */
  readonly contextBytes?: number | null;
  readonly sizeBytes: number | null;
  readonly vramBytes: number | null;
  readonly slots: number;
  readonly expiresAtMs: number | null;
  /** Its owner told the engine to keep it off the GPU. */
  readonly staysOnCpu?: boolean;
}

/**
 * What a runtime can do, declared, so that nobody outside its own file asks which runtime it is.
 * - `load`/`unload`: models can be loaded and unloaded one by one.
 * - `unload: 'polite'`: a running generation finishes first. `'kills'`: it is cut off.
 * - `evicts`: sends idle models of its own away by itself when a load finds no room. Others' never.
 * - `spillsToMemory`: see `RuntimeReport`.
 * - `pull`, `delete`: models can be brought onto and taken off the disk; `pullModel` and `deleteModel` are there.
 */
export interface RuntimeAbilities {
  readonly load: boolean;
  readonly unload: 'no' | 'polite' | 'kills';
  readonly evicts: boolean;
  readonly spillsToMemory: boolean;
  readonly pull: boolean;
  readonly delete: boolean;
  readonly routes: readonly AttemptRoute[];
}

/** How far a download is. `stage` is the engine's own word; bytes are of what is being downloaded now. */
export interface PullProgress {
  readonly stage: string;
  readonly completedBytes: number | null;
  readonly totalBytes: number | null;
}

/** The process of an engine that we own, as far as its runtime may touch it. The supervisor has the rest. */
export interface EngineHandle {
  isAlive(): boolean;
  /** Resolves when the process and its children are gone; it stays down until `start`. */
  stop(): Promise<void>;
  start(): void;
  /** What it gives back tells what the engine has printed since, and how it ended; the last few hundred lines. */
  listen(): () => readonly string[];
}

/**
 * The contract between the agent and an inference engine. One instance talks to one engine on loopback. Every call takes an
 * AbortSignal and fails with `RuntimeError`. How to add one: README.md; what it must pass: conformance.ts.
 */
export interface Runtime {
  readonly kind: RuntimeKind;
  readonly abilities: RuntimeAbilities;
  /** Last known, never blocks. */
  report(): RuntimeReport;
  /** Asks the engine what models it has. Throws when it cannot be reached. */
  listModels(signal: AbortSignal): Promise<readonly RuntimeModel[]>;
  /** Resolves when the model is warm. Aborting the signal may abort the load. */
  loadModel(id: string, signal: AbortSignal): Promise<void>;
  /** Resolves when the engine no longer lists it as loaded. */
  unloadModel(id: string, signal: AbortSignal): Promise<void>;
  /**
   * Resolves when the model is on disk. Aborting the signal stops the download; pulling again goes on where it stopped, as far as
   * the engine can. Progress comes as often as the engine tells.
   */
  pullModel?(id: string, onProgress: (progress: PullProgress) => void, signal: AbortSignal): Promise<void>;
  deleteModel?(id: string, signal: AbortSignal): Promise<void>;
  /** For engines that unload by a timer of their own: whether it may strike this loaded model. */
  keepModel?(id: string, isPinned: boolean, signal: AbortSignal): Promise<void>;
  /** An answer came from this model. For engines that do not tell which model they have in memory. */
  served?(id: string): void;
  /** True for an engine of ours that was ended to free its memory and starts again with the next load: its models are still on offer. */
  readonly isDormant?: boolean;
  /** For engines whose statuses mean something else than everybody's; `classifyEngineError` otherwise. */
  classifyError?(status: number, text: string): ErrorCode;
  /** For engines that call a model by its path: the name that a request must have in it. Undefined where both names are one. */
  engineName?(id: string): string | undefined;
  /** Where inference requests go; the body's `model` is one of `listModels`. */
  endpoint(route: AttemptRoute): { readonly url: URL; readonly headers: Readonly<Record<string, string>> };
  close(): Promise<void>;
}

/** `detail` is the engine's own text: for the log, and for classification; never for the client. */
export class RuntimeError extends Error {
  readonly code: ErrorCode;
  readonly detail: string;

  constructor(code: ErrorCode, detail: string, options?: { cause?: unknown }) {
    super(`${code}: ${detail}`, options);
    this.name = 'RuntimeError';
    this.code = code;
    this.detail = detail;
  }
}

const PATHS: Record<AttemptRoute, string> = {
  'chat.completions': '/v1/chat/completions',
  completions: '/v1/completions',
  embeddings: '/v1/embeddings',
  rerank: '/v1/rerank',
  'audio.transcriptions': '/v1/audio/transcriptions',
};

/** Engine URLs are made of constants only; nothing from the wire reaches a path. */
export const openAiUrl = (base: URL, route: AttemptRoute): URL => new URL(PATHS[route], base);
