import type { Normaliser } from './answer-normaliser.ts';
import { type AnswerChoice, type AnswerChunk, type AnswerEvent, AnswerReader } from './answer-stream.ts';
import { usageOf } from './answer-usage.ts';
import type { ChunkKind, Usage } from './attempt.ts';
import { MAX_EVENT_BYTES } from './protocol/codec.ts';
import { sseData } from './sse.ts';

/** `text` is latin1: one character is one byte. */
export interface Piece {
  readonly kind: ChunkKind;
  readonly text: string;
}

/** How the engine's stream ended, once it has. `complete` needs every choice finished and the terminator: engines end cleanly for worse reasons. */
export type StreamEnding =
  | { readonly kind: 'complete'; readonly finishReason: string; readonly usage: Usage | null }
  | { readonly kind: 'error'; readonly text: string; readonly usage: Usage | null }
  | { readonly kind: 'incomplete'; readonly detail: string; readonly usage: Usage | null };

/**
 * Reads an engine's SSE bytes, mends its chunks and sorts them into prelude, content and usage, one `data` line each. The terminator,
 * comments and errors are kept back, since what the client gets to see of those is the coordinator's to say; after an error nothing more
 * is passed on. Text that is no event at all is how llama-server's router says that its model died.
 *
 * Text is latin1: one character is one byte, and JSON's own characters are all ASCII. Callers turn bytes into it and back, since the ways
 * to do that quickly are not the same everywhere.
 */
export class AnswerScanner {
  readonly #reader = new AnswerReader();
  readonly #normaliser: Normaliser | null;
  readonly #needsDone: boolean;
  /** Choice → the reason why it ended; null while it has not. */
  readonly #choices = new Map<number, string | null>();
  #hasContent = false;
  #isDone = false;
  #failure: Failure | null = null;
  #usage: Usage | null = null;
  #hasUsageEvent = false;

  /** `needsDone: false`: this source ends its streams without a terminator. */
  constructor(normaliser: Normaliser | null = null, { needsDone = true }: { needsDone?: boolean } = {}) {
    this.#normaliser = normaliser;
    this.#needsDone = needsDone;
  }

  /** Takes the next text and returns the events it completed; neighbors of one kind come as one piece. */
  push(text: string): Piece[] {
    return this.#sort(this.#reader.push(text));
  }

  /** Call when the engine closed the stream; a last event without its empty line still counts. */
  finish(): { readonly pieces: readonly Piece[]; readonly ending: StreamEnding } {
    const pieces = this.#sort(this.#reader.finish());
    const usage = this.#hasUsageEvent || this.#failure !== null ? null : (this.#normaliser?.usageChunk() ?? null);
    return {
      pieces: usage === null ? pieces : [...pieces, { kind: 'usage', text: sseData(usage) }],
      ending: this.#ending(),
    };
  }

  /** The engine is saying an event that is longer than any; no more of it should be read. */
  get isTooLong(): boolean {
    return this.#reader.pendingLength > MAX_EVENT_BYTES;
  }

  /** The engine reported that it failed; nothing that follows counts. */
  get hasFailed(): boolean {
    return this.#failure !== null;
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  get usage(): Usage | null {
    return this.#usage;
  }

  #ending(): StreamEnding {
    const usage = this.#usage;
    if (this.#failure !== null) return { ...this.#failure, usage };
    const reasons = [...this.#choices.values()];
    const last = reasons.at(-1) ?? null;
    if (last === null || reasons.includes(null))
      return { kind: 'incomplete', detail: 'the stream ended with no finish_reason', usage };
    if (!this.#isDone && this.#needsDone) return { kind: 'incomplete', detail: 'the stream ended with no [DONE]', usage };
    return { kind: 'complete', finishReason: last, usage };
  }

  #sort(events: readonly AnswerEvent[]): Piece[] {
    const runs: { kind: ChunkKind; texts: string[] }[] = [];
    for (const event of events) {
      if (this.#failure !== null) break;
      if (event.kind !== 'chunk') {
        this.#take(event);
        continue;
      }
      const kind = this.#kindOf(event.chunk);
      if (kind === null) continue;
      const isMended = this.#normaliser !== null && kind !== 'usage' && this.#normaliser.mend(event.chunk);
      const text = sseData(event.isTidied || isMended ? event.chunk : event.json);
      const last = runs.at(-1);
      if (last?.kind === kind) last.texts.push(text);
      else runs.push({ kind, texts: [text] });
    }
    return runs.map(({ kind, texts }) => ({ kind, text: texts.join('') }));
  }

  #take(event: Exclude<AnswerEvent, { kind: 'chunk' }>): void {
    switch (event.kind) {
      case 'done':
        this.#isDone = true;
        break;
      case 'error':
      case 'unreadable':
        this.#failure = { kind: 'error', text: textOf(event.text) };
        break;
      case 'aborted':
        this.#usage = usageOf(event.usage) ?? this.#usage;
        this.#failure = { kind: 'incomplete', detail: `the engine ended the answer with finish_reason ${textOf(event.reason)}` };
    }
  }

  /** Null for what says nothing. */
  #kindOf({ choices, usage }: AnswerChunk): ChunkKind | null {
    const counted = usageOf(usage);
    this.#usage = counted ?? this.#usage;
    if (choices.length === 0) {
      // Zeros say nothing, and a client would take them for the truth.
      if (counted === null) return null;
      this.#hasUsageEvent = true;
      return 'usage';
    }
    for (const { index, finish_reason } of choices) this.#choices.set(index, finish_reason ?? this.#choices.get(index) ?? null);
    this.#hasContent ||= choices.some(hasContent);
    return this.#hasContent ? 'content' : 'prelude';
  }
}

type Failure = { readonly kind: 'error'; readonly text: string } | { readonly kind: 'incomplete'; readonly detail: string };

/** An empty text is no content yet. */
const hasContent = ({ text, delta }: AnswerChoice): boolean =>
  Boolean(text || delta?.content || delta?.reasoning_content || delta?.reasoning || delta?.refusal || delta?.tool_calls?.length);

/** For logs and classification. */
const textOf = (latin1: string): string =>
  new TextDecoder().decode(Uint8Array.from(latin1.slice(0, 1_000), (character) => character.charCodeAt(0)));
