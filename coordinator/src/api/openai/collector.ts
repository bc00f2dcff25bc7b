import type { AnswerChoice, AnswerChunk } from '@lai/shared/answer-stream';
import { ChunkReader, UnreadableAnswer } from './chunk-reader.ts';

/**
 * Puts a streamed answer together into the one object that a client gets who did not ask for a stream. Engines are always asked to
 * stream, because only a stream can be stopped and watched.
 */
export class Collector<Choice extends { readonly index: number }> {
  readonly #object: string;
  readonly #begin: (index: number) => Choice;
  readonly #add: (choice: Choice, piece: AnswerChoice) => void;
  readonly #finish: (choice: Choice) => unknown;
  readonly #reader = new ChunkReader();
  readonly #choices = new Map<number, Choice>();
  #head: Record<string, unknown> = {};
  #usage: unknown = null;

  constructor(
    object: string,
    {
      begin,
      add,
      finish = (choice) => choice,
    }: {
      begin(index: number): Choice;
      add(choice: Choice, piece: AnswerChoice): void;
      finish?(choice: Choice): unknown;
    },
  ) {
    this.#object = object;
    this.#begin = begin;
    this.#add = add;
    this.#finish = finish;
  }

  /** Throws UnreadableAnswer. */
  push(bytes: Uint8Array): void {
    for (const chunk of this.#reader.push(bytes)) this.#take(chunk);
  }

  /** Throws UnreadableAnswer, also when there was no choice at all. */
  finish(): Record<string, unknown> {
    for (const chunk of this.#reader.finish()) this.#take(chunk);
    if (this.#choices.size === 0) throw new UnreadableAnswer('the answer has no choices');
    return {
      ...this.#head,
      object: this.#object,
      choices: [...this.#choices.values()].sort((a, b) => a.index - b.index).map((choice) => this.#finish(choice)),
      ...(this.#usage ? { usage: this.#usage } : {}),
    };
  }

  #take({ choices, usage, ...head }: AnswerChunk): void {
    this.#head = { ...head, ...this.#head };
    if (usage) this.#usage = usage;
    for (const piece of choices) {
      const choice = this.#choices.get(piece.index) ?? this.#begin(piece.index);
      this.#choices.set(piece.index, choice);
      this.#add(choice, piece);
    }
  }
}
