import type { AgentMessage } from '@lai/shared/protocol/agent-message';
import type { PullProgress } from '../runtimes/runtime.ts';

/** Often enough for a bar that moves, seldom enough for a slow line. */
const SPACING_MS = 500;
/** So that silence means that nobody is at it. */
const HEARTBEAT_MS = 10_000;

/** What is told of one running command: the newest news, at once, then never more often than twice a second, never less than every 10 s. */
export class CommandNews {
  readonly #commandId: string;
  readonly #send: (message: AgentMessage) => void;
  #news: PullProgress;
  #sentAtMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: { commandId: string; stage: string; send: (message: AgentMessage) => void }) {
    this.#commandId = options.commandId;
    this.#send = options.send;
    this.#news = { stage: options.stage, completedBytes: null, totalBytes: null };
    this.#tell();
  }

  tell(news: PullProgress): void {
    this.#news = news;
    const waitMs = this.#sentAtMs + SPACING_MS - performance.now();
    if (waitMs <= 0) this.#tell();
    else this.#tellIn(waitMs);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #tell(): void {
    this.#sentAtMs = performance.now();
    const { stage, completedBytes, totalBytes } = this.#news;
    this.#send({
      type: 'command.progress',
      commandId: this.#commandId,
      stage: stage.slice(0, 200),
      completedBytes,
      totalBytes,
    });
    this.#tellIn(HEARTBEAT_MS);
  }

  #tellIn(waitMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tell(), waitMs);
  }
}
