import { FailureCode } from '@lai/shared/attempt';
import type { ErrorCode } from '@lai/shared/errors';
import { plainText } from '@lai/shared/plain-text';
import type { AgentMessage } from '@lai/shared/protocol/agent-message';
import type { AgentCommand } from '@lai/shared/protocol/coordinator-message';
import { z } from 'zod';

type WithoutId<T> = T extends unknown ? Omit<T, 'commandId'> : never;
/** What may be asked of a node: the closed list of the protocol. */
export type CommandRequest = WithoutId<AgentCommand>;
export type ModelRequest = Extract<CommandRequest, { model: string }>;

const bytes = z.number().nonnegative().nullable();
export const CommandFrame = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('progress'), stage: z.string(), completedBytes: bytes, totalBytes: bytes }),
  z.object({ kind: z.literal('done') }),
  /** `detail` is the engine's own text: for the operator, not for clients. */
  z.object({ kind: z.literal('failed'), code: FailureCode, detail: z.string().nullable() }),
]);
export type CommandFrame = z.infer<typeof CommandFrame>;
export type CommandEnd = Exclude<CommandFrame, { kind: 'progress' }>;

/** What a node can be told, wherever its socket is. */
export interface CommandLink {
  command(request: CommandRequest, commandId?: string): RunningCommand;
  /** Of the commands that run on the node, also those of an earlier connection. */
  cancelCommand(commandId: string): void;
}

export const commandFrame = (message: Extract<AgentMessage, { type: 'command.progress' | 'command.result' }>): CommandFrame => {
  if (message.type === 'command.progress') {
    const { stage, completedBytes, totalBytes } = message;
    return { kind: 'progress', stage: plainText(stage), completedBytes, totalBytes };
  }
  if (message.ok) return { kind: 'done' };
  return {
    kind: 'failed',
    code: message.code ?? 'internal_error',
    detail: message.detail === undefined ? null : plainText(message.detail),
  };
};

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
  /** Silence of the node ends it. */
  readonly #isWatched: boolean;
  #observer: ((frame: CommandFrame) => void) | null = null;
  #progress: CommandFrame | null = null;
  #end: CommandEnd | null = null;
  #wake = Promise.withResolvers<void>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: { commandId: string; type: CommandRequest['type']; onCancel: () => void; onEnd?: () => void }) {
    this.commandId = options.commandId;
    this.#onCancel = options.onCancel;
    this.#onEnd = options.onEnd ?? (() => {});
    // Loads may take minutes, and agents of before progress was told are silent meanwhile.
    this.#isWatched = options.type !== 'model.load';
    this.#watch(BEGIN_LIMIT_MS, 'accept_timeout');
  }

  cancel(): void {
    if (this.#end === null) this.#onCancel();
  }

  /** Hears every frame, whether somebody reads or not. */
  observe(observer: (frame: CommandFrame) => void): void {
    this.#observer = observer;
    const told = this.#end ?? this.#progress;
    if (told) observer(told);
  }

  /** Only the first ending counts. */
  take(frame: CommandFrame): void {
    if (this.#end) return;
    this.#observer?.(frame);
    if (frame.kind === 'progress') {
      this.#progress = frame;
      this.#watch(SILENCE_LIMIT_MS, 'node_lost');
    } else {
      clearTimeout(this.#timer);
      this.#end = frame;
      this.#onEnd();
    }
    this.#wake.resolve();
  }

  /** Its one ending, for whoever does not want to watch. */
  async ending(): Promise<CommandEnd> {
    for await (const frame of this) if (frame.kind !== 'progress') return frame;
    return { kind: 'failed', code: 'node_lost', detail: null };
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
      () => this.take({ kind: 'failed', code, detail: `nothing was heard of it for ${limitMs / 1_000} s` }),
      limitMs,
    );
  }
}
