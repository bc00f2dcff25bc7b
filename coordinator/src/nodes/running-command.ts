import type { ErrorCode } from '@lai/shared/errors';
import type { AgentMessage } from '@lai/shared/protocol/agent-message';
import type { ModelCommand } from '@lai/shared/protocol/coordinator-message';

type WithoutId<T> = T extends unknown ? Omit<T, 'commandId'> : never;
/** What may be asked of a node's models: the closed list of the protocol. */
export type CommandRequest = WithoutId<ModelCommand>;

export type CommandFrame =
  | {
      readonly kind: 'progress';
      readonly stage: string;
      readonly completedBytes: number | null;
      readonly totalBytes: number | null;
    }
  | { readonly kind: 'done' }
  /** `detail` is the engine's own text: for the operator, not for clients. */
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly detail: string | null };

/** A node that begins says so at once. */
const BEGIN_LIMIT_MS = 10_000;
/** A node that is at it says so every 10 s. */
const SILENCE_LIMIT_MS = 60_000;

/**
 * One command at work on a node, as frames for one reader: progress, of which a slow reader gets the newest, then exactly one `done` or
 * `failed`. Leaving early only stops the reading, since a download is worth finishing; `cancel` is what stops it.
 */
export class RunningCommand implements AsyncIterable<CommandFrame> {
  readonly commandId: string;
  readonly #onCancel: () => void;
  readonly #onEnd: () => void;
  readonly #isWatched: boolean;
  #progress: CommandFrame | null = null;
  #end: CommandFrame | null = null;
  #wake = Promise.withResolvers<void>();
  #timer: NodeJS.Timeout | undefined;

  /** `isWatched`: silence of the node ends it. */
  constructor(options: { commandId: string; isWatched: boolean; onCancel: () => void; onEnd?: () => void }) {
    this.commandId = options.commandId;
    this.#onCancel = options.onCancel;
    this.#onEnd = options.onEnd ?? (() => {});
    this.#isWatched = options.isWatched;
    this.#watch(BEGIN_LIMIT_MS, 'accept_timeout');
  }

  cancel(): void {
    if (this.#end === null) this.#onCancel();
  }

  take(message: Extract<AgentMessage, { type: 'command.progress' | 'command.result' }>): void {
    if (message.type === 'command.result') {
      this.end(
        message.ok
          ? { kind: 'done' }
          : { kind: 'failed', code: message.code ?? 'internal_error', detail: message.detail ?? null },
      );
      return;
    }
    const { stage, completedBytes, totalBytes } = message;
    this.#progress = { kind: 'progress', stage, completedBytes, totalBytes };
    this.#watch(SILENCE_LIMIT_MS, 'node_lost');
    this.#wake.resolve();
  }

  /** Only the first ending counts. */
  end(frame: Exclude<CommandFrame, { kind: 'progress' }>): void {
    if (this.#end) return;
    clearTimeout(this.#timer);
    this.#end = frame;
    this.#wake.resolve();
    this.#onEnd();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<CommandFrame> {
    for (;;) {
      const progress = this.#progress;
      this.#progress = null;
      if (progress) yield progress;
      else if (this.#end) {
        yield this.#end;
        return;
      } else {
        await this.#wake.promise;
        this.#wake = Promise.withResolvers<void>();
      }
    }
  }

  #watch(limitMs: number, code: ErrorCode): void {
    clearTimeout(this.#timer);
    if (!this.#isWatched || this.#end) return;
    this.#timer = setTimeout(
      () => this.end({ kind: 'failed', code, detail: `nothing was heard of it for ${limitMs / 1_000} s` }),
      limitMs,
    );
  }
}
