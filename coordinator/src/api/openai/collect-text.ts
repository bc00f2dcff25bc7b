import { EventSplitter } from '@lai/shared/sse';

interface Chunk {
  readonly choices?: readonly {
    readonly index?: number;
    readonly text?: string;
    readonly finish_reason?: string | null;
    readonly logprobs?: Readonly<Record<string, unknown>> | null;
  }[];
  readonly usage?: unknown;
  readonly [field: string]: unknown;
}

interface Choice {
  readonly index: number;
  text: string;
  logprobs: Record<string, unknown> | null;
  finish_reason: string | null;
}

/** Puts a streamed completion together into the one object that a client gets who did not ask for a stream. */
export class TextCollector {
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
      object: 'text_completion',
      choices: [...this.#choices.values()].sort((a, b) => a.index - b.index),
      ...(this.#usage ? { usage: this.#usage } : {}),
    };
  }

  #take({ choices = [], usage, ...head }: Chunk): void {
    this.#head = { ...head, ...this.#head };
    if (usage) this.#usage = usage;
    for (const { index = 0, text = '', finish_reason, logprobs } of choices) {
      const choice = this.#choices.get(index) ?? { index, text: '', logprobs: null, finish_reason: null };
      this.#choices.set(index, choice);
      choice.text += text;
      choice.finish_reason = finish_reason ?? choice.finish_reason;
      if (logprobs) choice.logprobs = joined(choice.logprobs, logprobs);
    }
  }
}

/** Every field of the old logprobs object is a list with one entry per token. */
const joined = (known: Record<string, unknown> | null, more: Readonly<Record<string, unknown>>): Record<string, unknown> => {
  const all = { ...known };
  for (const [field, list] of Object.entries(more)) {
    const before = all[field];
    all[field] = Array.isArray(before) && Array.isArray(list) ? [...before, ...list] : (list ?? before);
  }
  return all;
};
