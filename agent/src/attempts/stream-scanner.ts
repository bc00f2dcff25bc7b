import type { ChunkKind, Usage } from '@lai/shared/attempt';
import type { Normaliser } from './normaliser.ts';

export interface Piece {
  readonly kind: ChunkKind;
  readonly bytes: Uint8Array;
}

interface Cut {
  readonly kind: ChunkKind;
  readonly start: number;
  end: number;
  /** Of an event that had to be mended. */
  readonly bytes: Buffer | null;
}

/** How the engine's stream ended, once it has. `complete` needs a finish_reason and the terminator: engines end cleanly for worse reasons. */
export type StreamEnding =
  | { readonly kind: 'complete'; readonly finishReason: string; readonly usage: Usage | null }
  | { readonly kind: 'error'; readonly text: string; readonly usage: Usage | null }
  | { readonly kind: 'incomplete'; readonly detail: string; readonly usage: Usage | null };

const FINISH_REASON = /"finish_reason"\s*:\s*"([a-z_]+)"/;
const NO_CHOICES = /"choices"\s*:\s*\[\s*\]/;
const USAGE = /"usage"\s*:\s*\{/;
/** A quote inside a JSON string is escaped, so these names can only be keys. An empty string is no content yet. */
const CONTENT = /"(?:content|reasoning_content|reasoning|refusal|text)"\s*:\s*"[^"]|"tool_calls"\s*:\s*\[\s*\{/;
/** Comments, empty lines and fields that say nothing to us may stand right above an event's data. */
const ABOVE_DATA = /^(?:(?::|event:|id:|retry:)[^\n]*\n|\r?\n)+/;
const ERROR = /^data:\s*\{\s*"error"\s*:|"object"\s*:\s*"error"/;

/** No event of a runtime is as long; one that never ends would fill the memory. */
export const MAX_EVENT_BYTES = 4 * 1024 * 1024;

/**
 * Watches an engine's SSE bytes go by without taking them apart: whole events are cut out as they are (the normaliser mends those that
 * are known to be wrong) and sorted into prelude, content and usage; the terminator, comments and errors are kept back, since what the
 * client gets to see of those is the coordinator's to say. Text that is no event at all is how llama-server's router says that its model died.
 */
export class StreamScanner {
  #rest: Buffer = Buffer.alloc(0);
  #hasContent = false;
  #finishReason: string | null = null;
  #isDone = false;
  #error: string | null = null;
  #garbage: string | null = null;
  #usage: Usage | null = null;
  #hasUsageEvent = false;
  readonly #normaliser: Normaliser | null;

  constructor(normaliser: Normaliser | null = null) {
    this.#normaliser = normaliser;
  }

  /** Takes the next bytes and returns the events they completed; neighbours of one kind come as one piece. */
  push(bytes: Buffer): Piece[] {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const pieces: Cut[] = [];
    let start = 0;
    for (;;) {
      const end = endOfEvent(all, start);
      if (end === -1) break;
      const event = all.toString('latin1', start, end);
      const kind = this.#sort(event);
      const isMended = this.#normaliser !== null && (kind === 'prelude' || kind === 'content');
      const mended = isMended ? this.#normaliser.mend(event) : event;
      const last = pieces.at(-1);
      if (kind !== null && mended !== event) pieces.push({ kind, start, end, bytes: Buffer.from(mended, 'latin1') });
      else if (kind !== null && last?.kind === kind && last.end === start && last.bytes === null) last.end = end;
      else if (kind !== null) pieces.push({ kind, start, end, bytes: null });
      start = end;
    }
    // A copy, so that a small rest does not keep a large buffer alive.
    this.#rest = start === all.length ? Buffer.alloc(0) : Buffer.from(all.subarray(start));
    return pieces.map((piece) => ({ kind: piece.kind, bytes: piece.bytes ?? all.subarray(piece.start, piece.end) }));
  }

  /** Call when the engine closed the stream; a last event without its empty line still counts. */
  finish(): { readonly pieces: readonly Piece[]; readonly ending: StreamEnding } {
    const pieces = this.#rest.length > 0 ? this.push(Buffer.from('\n\n')) : [];
    const usage = this.#hasUsageEvent ? null : (this.#normaliser?.usageChunk() ?? null);
    return {
      pieces: usage === null ? pieces : [...pieces, { kind: 'usage', bytes: Buffer.from(usage, 'latin1') }],
      ending: this.#ending(),
    };
  }

  /** The engine is saying an event that is longer than any; no more of it should be read. */
  get isTooLong(): boolean {
    return this.#rest.length > MAX_EVENT_BYTES;
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  get usage(): Usage | null {
    return this.#usage;
  }

  #ending(): StreamEnding {
    const usage = this.#usage;
    if (this.#error !== null) return { kind: 'error', text: this.#error, usage };
    if (this.#garbage !== null) return { kind: 'error', text: this.#garbage, usage };
    if (this.#finishReason !== null && this.#isDone) return { kind: 'complete', finishReason: this.#finishReason, usage };
    const missing = this.#finishReason === null ? 'no finish_reason' : 'no [DONE]';
    return { kind: 'incomplete', detail: `the stream ended with ${missing}`, usage };
  }

  #sort(event: string): ChunkKind | null {
    const text = event.replace(ABOVE_DATA, '').trimEnd();
    if (text === '') return null;
    if (!text.startsWith('data:')) {
      this.#garbage ??= text.slice(0, 500);
      return null;
    }
    if (text === 'data: [DONE]' || text === 'data:[DONE]') {
      this.#isDone = true;
      return null;
    }
    if (ERROR.test(text)) {
      this.#error ??= text.slice(0, 1_000);
      return null;
    }
    if (USAGE.test(text)) this.#usage = usageIn(text) ?? this.#usage;
    if (NO_CHOICES.test(text)) {
      // Zeros say nothing, and a client would take them for the truth.
      if (USAGE.test(text) && usageIn(text) === null) return null;
      this.#hasUsageEvent = true;
      return 'usage';
    }
    this.#finishReason = FINISH_REASON.exec(text)?.[1] ?? this.#finishReason;
    this.#hasContent ||= CONTENT.test(text);
    return this.#hasContent ? 'content' : 'prelude';
  }
}

/** Index just behind the empty line that ends the event starting at `start`, or -1. */
const endOfEvent = (bytes: Buffer, start: number): number => {
  const lf = bytes.indexOf('\n\n', start, 'latin1');
  const crlf = bytes.subarray(start, lf === -1 ? bytes.length : lf).indexOf('\r\n\r\n', 0, 'latin1');
  if (crlf !== -1) return start + crlf + 4;
  return lf === -1 ? -1 : lf + 2;
};

/** Zero usage on every chunk is one of Ollama's habits on /v1/completions: it says nothing and must not overwrite what does. */
const usageIn = (event: string): Usage | null => {
  try {
    const { usage } = JSON.parse(event.slice(event.indexOf('{')));
    const promptTokens = Number(usage.prompt_tokens) || 0;
    const completionTokens = Number(usage.completion_tokens) || 0;
    if (promptTokens === 0 && completionTokens === 0) return null;
    return { promptTokens, completionTokens, cachedTokens: Number(usage.prompt_tokens_details?.cached_tokens) || 0 };
  } catch {
    return null;
  }
};
