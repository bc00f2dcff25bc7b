import { EventSplitter } from '@lai/shared/sse';

/** As much of a streamed chunk as collecting needs; everything else in it is kept as it is. */
interface Chunk<Piece> {
  readonly choices?: readonly Piece[];
  readonly usage?: unknown;
  readonly [field: string]: unknown;
}

/**
 * Puts a streamed answer together into the one object that a client gets who did not ask for a stream. Engines are always asked to
 * stream, because only a stream can be stopped and watched.
 */
export class Collector<Piece extends { readonly index?: number }, Choice extends { readonly index: number }> {
  readonly #object: string;
  readonly #begin: (index: number) => Choice;
  readonly #add: (choice: Choice, piece: Piece) => void;
  readonly #splitter = new EventSplitter();
  readonly #decoder = new TextDecoder();
  readonly #choices = new Map<number, Choice>();
  #head: Record<string, unknown> = {};
  #usage: unknown = null;

  constructor(object: string, begin: (index: number) => Choice, add: (choice: Choice, piece: Piece) => void) {
    this.#object = object;
    this.#begin = begin;
    this.#add = add;
  }

  push(bytes: Uint8Array): void {
    for (const data of this.#splitter.push(this.#decoder.decode(bytes, { stream: true }))) this.#take(JSON.parse(data));
  }

  finish(): Record<string, unknown> {
    for (const data of this.#splitter.finish()) this.#take(JSON.parse(data));
    return {
      ...this.#head,
      object: this.#object,
      choices: [...this.#choices.values()].sort((a, b) => a.index - b.index),
      ...(this.#usage ? { usage: this.#usage } : {}),
    };
  }

  #take({ choices = [], usage, ...head }: Chunk<Piece>): void {
    this.#head = { ...head, ...this.#head };
    if (usage) this.#usage = usage;
    for (const piece of choices) {
      const index = piece.index ?? 0;
      const choice = this.#choices.get(index) ?? this.#begin(index);
      this.#choices.set(index, choice);
      this.#add(choice, piece);
    }
  }
}
