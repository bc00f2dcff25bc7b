import { EventSplitter } from '@lai/shared/sse';

/** As much of a streamed chunk as collecting needs; everything else in it is kept as it is. */
interface Chunk {
  readonly choices?: readonly ChunkChoice[];
  readonly usage?: unknown;
  readonly [field: string]: unknown;
}

interface ChunkChoice {
  readonly index?: number;
  readonly delta?: Delta;
  readonly finish_reason?: string | null;
  readonly logprobs?: { readonly content?: unknown[] | null; readonly refusal?: unknown[] | null } | null;
}

interface Delta {
  readonly tool_calls?: readonly {
    index?: number;
    id?: string;
    type?: string;
    function?: { name?: string; arguments?: string };
  }[];
  readonly [field: string]: unknown;
}

interface Choice {
  readonly index: number;
  message: Record<string, unknown>;
  finish_reason: string | null;
  logprobs: { content: unknown[] | null; refusal: unknown[] | null } | null;
}

/**
 * Puts a streamed chat answer together into the one object that a client gets who did not ask for a stream. Engines are always asked to
 * stream, because only a stream can be stopped and watched.
 */
export class ChatCollector {
  readonly #splitter = new EventSplitter();
  readonly #decoder = new TextDecoder();
  readonly #choices = new Map<number, Choice>();
  #head: Record<string, unknown> = {};
  #usage: unknown = null;

  push(bytes: Uint8Array): void {
    for (const data of this.#splitter.push(this.#decoder.decode(bytes, { stream: true }))) this.#take(JSON.parse(data));
  }

  finish(): Record<string, unknown> {
    for (const data of this.#splitter.finish()) this.#take(JSON.parse(data));
    return {
      ...this.#head,
      object: 'chat.completion',
      choices: [...this.#choices.values()].sort((a, b) => a.index - b.index),
      ...(this.#usage ? { usage: this.#usage } : {}),
    };
  }

  #take(chunk: Chunk): void {
    const { choices = [], usage, ...head } = chunk;
    this.#head = { ...head, ...this.#head };
    if (usage) this.#usage = usage;
    for (const choice of choices) this.#takeChoice(choice);
  }

  #takeChoice({ index = 0, delta = {}, finish_reason, logprobs }: ChunkChoice): void {
    const choice = this.#choices.get(index) ?? {
      index,
      message: { role: 'assistant', content: null, refusal: null },
      finish_reason: null,
      logprobs: null,
    };
    this.#choices.set(index, choice);
    choice.finish_reason = finish_reason ?? choice.finish_reason;
    if (logprobs) {
      const known = choice.logprobs ?? { content: null, refusal: null };
      choice.logprobs = { content: joined(known.content, logprobs.content), refusal: joined(known.refusal, logprobs.refusal) };
    }
    const { tool_calls, role: _role, ...text } = delta;
    for (const [field, value] of Object.entries(text)) {
      const known = choice.message[field];
      if (typeof value === 'string') choice.message[field] = typeof known === 'string' ? known + value : value;
      else if (value !== null && value !== undefined) choice.message[field] = value;
    }
    for (const call of tool_calls ?? []) addToolCall(choice.message, call);
  }
}

const joined = (known: unknown[] | null, more: unknown[] | null | undefined): unknown[] | null =>
  more ? [...(known ?? []), ...more] : known;

interface ToolCall {
  id: string;
  type: string;
  function: { name: string; arguments: string };
}

const addToolCall = (message: Record<string, unknown>, call: NonNullable<Delta['tool_calls']>[number]): void => {
  message['tool_calls'] ??= [];
  const calls = message['tool_calls'] as ToolCall[];
  const index = call.index ?? calls.length;
  const known = calls[index] ?? { id: '', type: call.type ?? 'function', function: { name: '', arguments: '' } };
  calls[index] = known;
  known.id ||= call.id ?? '';
  known.function.name ||= call.function?.name ?? '';
  known.function.arguments += call.function?.arguments ?? '';
};
