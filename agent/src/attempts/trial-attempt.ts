import type { AttemptRoute, ChunkKind } from '@lai/shared/attempt';
import type { AgentMessage } from '@lai/shared/protocol/agent-message';
import { decodeData, isChunkKind } from '@lai/shared/protocol/codec';
import { EventSplitter } from '@lai/shared/sse';
import { pino } from 'pino';
import type { Runtime } from '../runtimes/runtime.ts';
import { AttemptRunner } from './attempt-runner.ts';

/** What a coordinator would have got of an attempt. */
export interface SeenAttempt {
  /** The last message; there is exactly one of these two. */
  readonly ending: Extract<AgentMessage, { type: 'attempt.end' | 'attempt.fail' }>;
  /** Everything the answer says, put together. */
  readonly text: string;
  readonly kinds: readonly ChunkKind[];
  readonly raw: string;
}

/** For tests: an attempt as the agent runs it, with a coordinator that reads at once and never gives up. */
export class TrialAttempt {
  readonly seen: Promise<SeenAttempt>;
  readonly #runner: AttemptRunner;
  readonly #firstContent = Promise.withResolvers<void>();
  readonly #kinds: ChunkKind[] = [];
  #raw = '';

  constructor(options: { runtime: Runtime; route: AttemptRoute; body: Record<string, unknown> & { model: string } }) {
    const { runtime, route, body } = options;
    const endings: SeenAttempt['ending'][] = [];
    const bytes = new TextEncoder().encode(JSON.stringify(body));
    this.#runner = new AttemptRunner({
      start: {
        type: 'attempt.start',
        attemptId: 'trial',
        requestId: 'trial',
        stream: 1,
        route,
        model: body.model,
        bodyBytes: bytes.length,
        windowBytes: Number.MAX_SAFE_INTEGER,
        deadlines: { firstContentMs: 60_000, stallMs: 60_000, totalMs: 120_000 },
      },
      runtime,
      sink: {
        send: (message) => {
          if (message.type === 'attempt.end' || message.type === 'attempt.fail') endings.push(message);
        },
        sendData: (frame) => this.#take(frame),
      },
      log: pino({ level: 'silent' }),
    });
    this.#runner.receiveBody(bytes, true);
    this.seen = this.#runner.ended.then(() => {
      const [ending] = endings;
      if (ending === undefined || endings.length > 1) throw new Error(`${endings.length} endings instead of one`);
      return { ending, text: textOf(this.#raw), kinds: this.#kinds, raw: this.#raw };
    });
  }

  /** Resolves with the first piece of content; rejects when the attempt ends without any. */
  get firstContent(): Promise<void> {
    const none = this.seen.then((seen) => Promise.reject(new Error(`no content: ${JSON.stringify(seen.ending)}`)));
    return Promise.race([this.#firstContent.promise, none]);
  }

  stop(): void {
    this.#runner.stop('canceled', 'the trial is over');
  }

  #take(bytes: Uint8Array): void {
    const frame = decodeData(bytes);
    if (!frame || !isChunkKind(frame.kind)) throw new Error('an attempt sent something that is no chunk');
    this.#kinds.push(frame.kind);
    this.#raw += new TextDecoder().decode(frame.bytes);
    if (frame.kind === 'content') this.#firstContent.resolve();
  }
}

const textOf = (raw: string): string =>
  new EventSplitter()
    .push(raw)
    .map((data) => {
      const choice = JSON.parse(data).choices?.[0];
      return choice?.delta?.content ?? choice?.text ?? '';
    })
    .join('');
