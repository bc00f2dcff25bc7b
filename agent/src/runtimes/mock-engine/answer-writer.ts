import type { ServerResponse } from 'node:http';
import type { Answer } from './answer.ts';
import { type Chunking, escaped, Outlet, type Reply, sendReply } from './wire.ts';

/** Numbers about a finished (or cut) generation, for usage and timings. */
export interface Stats {
  readonly answer: Answer;
  readonly tokens: number;
  readonly promptTokens: number;
  readonly loadMs: number;
  readonly prefillMs: number;
  readonly generateMs: number;
  readonly totalMs: number;
}

/** What is written around a token. */
export interface Frame {
  readonly before: string;
  readonly after: string;
}

/** How a stream that cannot go on looks from outside: some last bytes, then a proper end or a broken connection. */
export interface Cut {
  readonly text: string;
  readonly close: 'clean' | 'reset';
}

/** One dialect's way to write one answer. Everything that does not change from token to token is made once. */
export interface Wording {
  readonly isStream: boolean;
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** When the status line of a stream leaves. */
  readonly headersAt: 'arrival' | 'slot' | 'first-token';
  /** Written together with the first token. */
  readonly prelude: string;
  /** Around the first token, where it differs. */
  readonly first: Frame | null;
  /** Around every other token; asked once per write (Ollama stamps each line with the time). */
  readonly piece: () => Frame;
  /** Replaces the tokens when the answer is a tool call; called with the tokens of the arguments. */
  readonly toolChunks: (answer: Answer, from: number, to: number) => string;
  /** Everything after the last token. `isDoneMissing` leaves the terminator out. */
  readonly closing: (stats: Stats, isDoneMissing: boolean) => string;
  /** The whole answer when it is not streamed. */
  readonly whole: (stats: Stats) => string;
  /** The repeat guard of Ollama: an answer that stops without a reason, not streamed. */
  readonly wholeWithoutReason: (stats: Stats) => string;
  readonly crashBeforeStart: Reply;
  readonly crashMidStream: Cut;
  readonly unloadMidStream: Cut;
}

/**
 * Writes one answer, streamed or whole.
 * fresh → open (headers sent) → over; a fresh one may still become an error with a status of its own.
 */
export class AnswerWriter {
  readonly #res: ServerResponse;
  readonly #wording: Wording;
  readonly #outlet: Outlet;
  #isOpen = false;
  isOver = false;

  constructor(res: ServerResponse, wording: Wording, chunking: Chunking) {
    this.#res = res;
    this.#wording = wording;
    this.#outlet = new Outlet(res, chunking);
  }

  get isCongested(): boolean {
    return this.#outlet.isCongested;
  }

  /** True when nothing has been sent yet. */
  get isFresh(): boolean {
    return !this.#isOpen;
  }

  reached(moment: Wording['headersAt']): void {
    if (this.#wording.isStream && this.#wording.headersAt === moment) this.#open();
  }

  tokens(answer: Answer, from: number, to: number): void {
    if (!this.#wording.isStream) return;
    const { first, prelude, piece, toolChunks } = this.#wording;
    this.#open();
    let text = from === 0 ? prelude : '';
    if (answer.toolCall) {
      text += toolChunks(answer, from, to);
    } else {
      let at = from;
      if (at === 0 && first) text += first.before + escaped(answer.tokens[at++] ?? '') + first.after;
      const { before, after } = piece();
      for (; at < to; at++) text += before + escaped(answer.tokens[at] ?? '') + after;
    }
    if (text !== '') this.#outlet.write(text);
  }

  /** A line that no parser expects, in the middle of the answer. */
  raw(text: string): void {
    if (this.#wording.isStream) this.#outlet.write(text);
  }

  finish(stats: Stats, isDoneMissing: boolean): void {
    if (!this.#wording.isStream) {
      this.refuse(this.#ok(this.#wording.whole(stats)));
      return;
    }
    this.#open();
    this.#outlet.write(this.#wording.closing(stats, isDoneMissing));
    this.#end();
  }

  /** A status and a body of its own; only while nothing was sent. After that, the nearest thing is a broken connection. */
  refuse(reply: Reply): void {
    if (this.isOver) return;
    if (this.#isOpen) {
      this.cut({ text: '', close: 'reset' });
      return;
    }
    this.isOver = true;
    sendReply(this.#res, reply);
  }

  crash(): void {
    if (this.isFresh) this.refuse(this.#wording.crashBeforeStart);
    else this.cut(this.#wording.crashMidStream);
  }

  unloaded(): void {
    if (this.isFresh) this.refuse(this.#wording.crashBeforeStart);
    else this.cut(this.#wording.unloadMidStream);
  }

  /** The answer ends as if it were complete, but without a reason and without a terminator. */
  stopShort(stats: Stats): void {
    if (this.#wording.isStream) this.cut({ text: '', close: 'clean' });
    else this.refuse(this.#ok(this.#wording.wholeWithoutReason(stats)));
  }

  cut(cut: Cut): void {
    if (this.isOver) return;
    if (cut.close === 'reset') {
      this.isOver = true;
      this.#outlet.flush();
      // What was written before must leave first, else the reset overtakes it.
      setImmediate(() => this.#outlet.reset());
      return;
    }
    this.#open();
    if (cut.text !== '') this.#outlet.write(cut.text);
    this.#end();
  }

  #ok(body: string): Reply {
    const { contentType, headers } = this.#wording;
    return { status: 200, contentType, body, ...(headers ? { headers } : {}) };
  }

  #open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#res.writeHead(200, { 'content-type': this.#wording.contentType, ...this.#wording.headers });
    this.#res.flushHeaders();
  }

  #end(): void {
    this.isOver = true;
    this.#outlet.end();
  }
}
