/**
 * The least of HTTP/1.1 that a benchmark needs, for both directions: cuts a connection's bytes into messages. Node's own `http` costs
 * 60 to 80 µs per request on the asking side, several times what is measured here; this costs about 5.
 *
 *   head ──content-length──► body ──► head …
 *     ├────chunked──► size ──► chunk ──► size … ──0──► trailer ──► head …
 *     └────neither──► (a request: ends at once; a response: until the connection closes)
 */
export interface MessageEvents {
  /** Start line and header lines as they came, names not normalised. */
  head(head: string): void;
  body(bytes: Buffer): void;
  end(): void;
}

type State = 'head' | 'body' | 'size' | 'chunk' | 'chunk-end' | 'trailer' | 'until-close';

const CR = 13;
const LF = 10;

export class MessageReader {
  readonly #events: MessageEvents;
  readonly #isResponse: boolean;
  #state: State = 'head';
  #left = 0;
  #kept: Buffer | null = null;

  constructor(options: { isResponse: boolean; events: MessageEvents }) {
    this.#events = options.events;
    this.#isResponse = options.isResponse;
  }

  /** Throws on what is not HTTP; the connection is then of no more use. */
  push(bytes: Buffer): void {
    const all = this.#kept === null ? bytes : Buffer.concat([this.#kept, bytes]);
    this.#kept = null;
    let at = 0;
    while (at < all.length) {
      const next = this.#step(all, at);
      if (next === -1) {
        this.#kept = Buffer.from(all.subarray(at));
        return;
      }
      at = next;
    }
  }

  /** The connection was closed by the other side. Says whether a message was cut off by that. */
  close(): 'clean' | 'cut' {
    if (this.#state === 'until-close') {
      this.#state = 'head';
      this.#events.end();
      return 'clean';
    }
    return this.#state === 'head' && this.#kept === null ? 'clean' : 'cut';
  }

  /** Where to go on, or -1 when more bytes are needed. */
  #step(all: Buffer, at: number): number {
    switch (this.#state) {
      case 'head': {
        const end = all.indexOf('\r\n\r\n', at, 'latin1');
        if (end === -1) return -1;
        this.#begin(all.toString('latin1', at, end));
        return end + 4;
      }
      case 'size': {
        const end = endOfLine(all, at);
        if (end === -1) return -1;
        this.#left = Number.parseInt(all.toString('latin1', at, end), 16);
        if (Number.isNaN(this.#left)) throw new Error('a chunk without a size');
        this.#state = this.#left === 0 ? 'trailer' : 'chunk';
        return end + 2;
      }
      case 'trailer': {
        const end = endOfLine(all, at);
        if (end === -1) return -1;
        if (end === at) this.#finish();
        return end + 2;
      }
      case 'chunk-end':
        if (all.length - at < 2) return -1;
        this.#state = 'size';
        return at + 2;
      case 'until-close':
        this.#events.body(all.subarray(at));
        return all.length;
      case 'body':
      case 'chunk': {
        const end = Math.min(all.length, at + this.#left);
        this.#left -= end - at;
        const isChunk = this.#state === 'chunk';
        this.#events.body(all.subarray(at, end));
        if (this.#left === 0 && isChunk) this.#state = 'chunk-end';
        else if (this.#left === 0) this.#finish();
        return end;
      }
    }
  }

  #begin(head: string): void {
    if (this.#isResponse && !head.startsWith('HTTP/1.')) throw new Error('an answer that is not HTTP/1');
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    this.#left = Number(length ?? 0);
    const isChunked = /\r\ntransfer-encoding: *chunked/i.test(head);
    const hasNone = this.#isResponse && / (?:204|304|1\d\d) /.test(head.slice(0, 13));
    this.#state = isChunked
      ? 'size'
      : this.#left > 0
        ? 'body'
        : length === undefined && this.#isResponse
          ? 'until-close'
          : 'head';
    if (hasNone) this.#state = 'head';
    const isOver = this.#state === 'head';
    this.#events.head(head);
    if (isOver) this.#events.end();
  }

  #finish(): void {
    this.#state = 'head';
    this.#events.end();
  }
}

/** Index of the CRLF at or behind `at`, or -1. */
const endOfLine = (bytes: Buffer, at: number): number => {
  const end = bytes.indexOf(CR, at);
  return end === -1 || end + 1 >= bytes.length ? -1 : bytes[end + 1] === LF ? end : -1;
};

/** The three digits of a response's start line. */
export const statusOf = (head: string): number => Number(head.slice(9, 12));
