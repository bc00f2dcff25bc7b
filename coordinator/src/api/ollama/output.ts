import type { AttemptTimings } from '@lai/shared/attempt';
import { systemClock } from '../../dispatch/clock.ts';
import type { ChatDelta, TokenCounts } from '../openai/chat-deltas.ts';
import { argumentsIn } from '../openai/foreign-json.ts';
import type { EndFrame } from '../openai/wording.ts';

type Fields = Record<string, unknown>;

interface Call {
  readonly name: string;
  readonly id: string | null;
  arguments: string;
}

/** Says a chat answer in Ollama's lines, for `/api/chat` (a message) or `/api/generate` (a response). Tool calls come whole. */
export class OllamaComposer {
  readonly #kind: 'chat' | 'generate';
  readonly #model: string;
  readonly #receivedAtMs: number;
  readonly #calls = new Map<number, Call>();
  #text = '';
  #thinking = '';
  #finishReason: string | null = null;
  #usage: TokenCounts | null = null;

  constructor(options: { kind: 'chat' | 'generate'; model: string; receivedAtMs: number }) {
    this.#kind = options.kind;
    this.#model = options.model;
    this.#receivedAtMs = options.receivedAtMs;
  }

  /** A line that says nothing: it is what a client can read while it waits. */
  nothing(): Fields {
    return this.#line({ text: '' });
  }

  take(delta: ChatDelta): Fields[] {
    switch (delta.kind) {
      case 'text':
      case 'refusal':
        this.#text += delta.text;
        return [this.#line({ text: delta.text })];
      case 'reasoning':
        this.#thinking += delta.text;
        return [this.#line({ text: '', thinking: delta.text })];
      case 'tool':
        this.#addCall(delta);
        return [];
      case 'finish':
        this.#finishReason = delta.reason;
        return [];
      case 'usage':
        this.#usage = delta.usage;
        return [];
    }
  }

  /** The lines that end a stream. */
  complete(frame: EndFrame): Fields[] {
    const calls = this.#calls.size > 0 ? [this.#line({ text: '', calls: [...this.#calls.values()] })] : [];
    return [...calls, { ...this.#line({ text: '' }), ...this.#ending(frame.timings) }];
  }

  /** The one line for whoever did not want a stream. */
  whole(frame: EndFrame): Fields {
    const line = this.#line({ text: this.#text, thinking: this.#thinking, calls: [...this.#calls.values()] });
    return { ...line, ...this.#ending(frame.timings) };
  }

  /** What is said when a model was only to be brought into memory or out of it. */
  moved(reason: 'load' | 'unload'): Fields {
    return { ...this.#line({ text: '' }), done: true, done_reason: reason };
  }

  #addCall({ index, id, name, arguments: args }: Extract<ChatDelta, { kind: 'tool' }>): void {
    const call = this.#calls.get(index) ?? { name: name ?? '', id, arguments: '' };
    this.#calls.set(index, call);
    call.arguments += args;
  }

  #line({ text, thinking = '', calls = [] }: { text: string; thinking?: string; calls?: readonly Call[] }): Fields {
    const more = {
      ...(thinking === '' ? {} : { thinking }),
      ...(calls.length === 0 ? {} : { tool_calls: calls.map(toolCall) }),
    };
    return {
      model: this.#model,
      created_at: new Date().toISOString(),
      ...(this.#kind === 'chat' ? { message: { role: 'assistant', content: text, ...more } } : { response: text, ...more }),
      done: false,
    };
  }

  #ending(timings: AttemptTimings | null): Fields {
    const totalMs = systemClock.nowMs() - this.#receivedAtMs;
    const promptMs = timings?.firstContentMs ?? 0;
    return {
      done: true,
      done_reason: this.#finishReason === 'length' ? 'length' : 'stop',
      total_duration: nanoseconds(totalMs),
      load_duration: nanoseconds(timings ? Math.max(0, totalMs - timings.totalMs) : 0),
      prompt_eval_count: this.#usage?.inputTokens ?? 0,
      prompt_eval_duration: nanoseconds(promptMs),
      eval_count: this.#usage?.outputTokens ?? 0,
      eval_duration: nanoseconds(timings ? timings.totalMs - promptMs : 0),
    };
  }
}

const nanoseconds = (ms: number): number => Math.round(ms * 1_000_000);

const toolCall = ({ id, name, arguments: args }: Call, index: number): Fields => ({
  ...(id ? { id } : {}),
  function: { index, name, arguments: argumentsIn(args) },
});
