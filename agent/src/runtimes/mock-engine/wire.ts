import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Fields, isFields } from './prompt.ts';

export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
}

/** On every answer of a mock engine, so that no demonstration can pass it off as a GPU. */
export const SIMULATED_HEADER = 'x-lai-simulated';
export const FINGERPRINT = 'fp_lai_mock';

export interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export const sendReply = (res: ServerResponse, reply: Reply): void => {
  if (res.headersSent || res.destroyed) return;
  const length = String(Buffer.byteLength(reply.body));
  // An engine that answers 200 with nothing (Ollama's delete) names no content type either.
  const type = reply.contentType === '' ? {} : { 'content-type': reply.contentType };
  res.writeHead(reply.status, { ...type, ...reply.headers, 'content-length': length });
  res.end(reply.body);
};

const MAX_BODY_BYTES = 64 * 2 ** 20;

/** The whole body as text; rejects when the other side goes or sends too much. */
export const readBody = (req: IncomingMessage): Promise<string> =>
  new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    req.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_BODY_BYTES) req.destroy(new Error('body too large'));
      else chunks.push(chunk);
    });
    req.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    req.on('error', reject);
  });

/** Null when it is not a JSON object. */
export const parseFields = (text: string): Fields | null => {
  try {
    const value: unknown = JSON.parse(text);
    return isFields(value) ? value : null;
  } catch {
    return null;
  }
};

const escapes = new Map<string, string>();

/** A string as it stands inside JSON quotes. Words come again and again, so the short ones are remembered. */
export const escaped = (text: string): string => {
  const known = escapes.get(text);
  if (known !== undefined) return known;
  const result = JSON.stringify(text).slice(1, -1);
  if (text.length < 64 && escapes.size < 5000) escapes.set(text, result);
  return result;
};

/** How pieces of a stream leave: as they are, cut into a few bytes each, or several in one. */
export type Chunking = 'natural' | 'split' | 'coalesce';

const COALESCE_BYTES = 2048;

/** About three bytes each, and inside a character wherever there is one that needs several. */
const shredded = (bytes: Buffer): Buffer[] => {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = [at + 3, at + 2, at + 4].find((cut) => isContinuation(bytes[cut])) ?? at + 3;
    pieces.push(bytes.subarray(at, end));
    at = end;
  }
  return pieces;
};

const isContinuation = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80;

/** The body of one streamed answer. Split pieces leave one per turn of the event loop, so that they arrive apart. */
export class Outlet {
  readonly #res: ServerResponse;
  readonly #chunking: Chunking;
  #held = '';
  #queue: Buffer[] = [];
  #isEnding = false;
  #isPumping = false;

  constructor(res: ServerResponse, chunking: Chunking) {
    this.#res = res;
    this.#chunking = chunking;
  }

  /** True while the other side does not take what was written. */
  get isCongested(): boolean {
    return this.#res.writableNeedDrain || this.#queue.length > 4096;
  }

  write(text: string): void {
    if (this.#chunking === 'natural') {
      this.#res.write(text);
    } else if (this.#chunking === 'split') {
      this.#queue.push(...shredded(Buffer.from(text)));
      this.#pump();
    } else {
      this.#held += text;
      if (this.#held.length >= COALESCE_BYTES) this.flush();
    }
  }

  flush(): void {
    if (this.#held !== '') this.#res.write(this.#held);
    this.#held = '';
  }

  end(): void {
    this.flush();
    this.#isEnding = true;
    if (this.#queue.length === 0) this.#res.end();
  }

  /** The connection breaks; what is still held is lost. */
  reset(): void {
    this.#queue = [];
    this.#res.socket?.resetAndDestroy();
    this.#res.destroy();
  }

  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    setImmediate(() => {
      this.#isPumping = false;
      if (this.#res.destroyed) return;
      const piece = this.#queue.shift();
      if (piece) this.#res.write(piece);
      if (this.#queue.length > 0) this.#pump();
      else if (this.#isEnding) this.#res.end();
    });
  }
}
