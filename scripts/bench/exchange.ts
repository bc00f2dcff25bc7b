import { connect, type Socket } from 'node:net';
import { MODEL, prompt, TOKEN } from './engine-answers.ts';
import { MessageReader, statusOf } from './http-message.ts';
import type { LoadSpec } from './load-spec.ts';

/** One request as the asking side saw it; times in ms of performance.now(). */
export interface Exchange {
  readonly startedMs: number;
  headersMs: number;
  firstContentMs: number;
  lastContentMs: number;
  endedMs: number;
  tokens: number;
  /** Null: it ended as it should. */
  problem: string | null;
}

const CONNECT_LIMIT_MS = 5_000;
const NEEDLE = Buffer.from(TOKEN);

/** Everything of a request that does not change, serialised once. */
export const requestBytes = ({ endpoint, isStream, tokens, tps, firstTokenMs }: LoadSpec): Buffer => {
  const url = new URL(endpoint.url);
  const body = JSON.stringify({
    model: MODEL,
    messages: [
      { role: 'system', content: 'You are a terse assistant.' },
      { role: 'user', content: prompt({ tps, firstTokenMs }) },
    ],
    max_tokens: tokens,
    ...(isStream ? { stream: true } : {}),
  });
  const headers = { host: url.host, 'content-type': 'application/json', accept: '*/*', ...endpoint.headers };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(
    `POST ${url.pathname} HTTP/1.1\r\n${lines.join('')}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
};

/** Counts tokens in pieces that may be cut anywhere. */
export class TokenCount {
  #tail = '';

  push(bytes: Buffer): number {
    let found = 0;
    for (let at = bytes.indexOf(NEEDLE); at !== -1; at = bytes.indexOf(NEEDLE, at + NEEDLE.length)) found += 1;
    const seam = NEEDLE.length - 1;
    if (this.#tail !== '' && (this.#tail + bytes.toString('latin1', 0, seam)).includes(TOKEN)) found += 1;
    this.#tail = (this.#tail + bytes.toString('latin1', Math.max(0, bytes.length - seam))).slice(-seam);
    return found;
  }
}

export interface Watch {
  /** Before `lastContentMs` is moved on. */
  content(exchange: Exchange, tokens: number, nowMs: number): void;
}

/**
 * One connection, one request at a time, kept for the next. Nothing is sent again: a request that was lost is an error of the target.
 *
 *   idle ──ask──► waiting for headers ──► reading ──► idle
 *                        └───────── broken ─────────┘──► closed
 */
export class Line {
  readonly #socket: Socket;
  readonly #isStream: boolean;
  readonly #expected: number;
  readonly #watch: Watch;
  readonly #reader: MessageReader;
  #current: Exchange | null = null;
  #finish: ((exchange: Exchange) => void) | null = null;
  #status = 0;
  #count = new TokenCount();
  #tail = '';
  isClosed = false;

  private constructor(socket: Socket, spec: LoadSpec, watch: Watch) {
    this.#socket = socket;
    this.#isStream = spec.isStream;
    this.#expected = spec.tokens;
    this.#watch = watch;
    this.#reader = new MessageReader({
      isResponse: true,
      events: { head: (head) => this.#head(head), body: (bytes) => this.#body(bytes), end: () => this.#end() },
    });
    socket.on('data', (bytes: Buffer) => this.#read(bytes));
    socket.on('error', (error: NodeJS.ErrnoException) => this.#break(error.code ?? error.message));
    socket.on('close', () =>
      this.#break(this.#reader.close() === 'cut' ? 'connection closed in an answer' : 'connection closed'),
    );
  }

  static open(spec: LoadSpec, watch: Watch): Promise<Line> {
    const { hostname, port } = new URL(spec.endpoint.url);
    return new Promise((resolve, reject) => {
      const socket = connect({ host: hostname, port: Number(port), noDelay: true });
      const timer = setTimeout(() => socket.destroy(new Error('no connection within 5 s')), CONNECT_LIMIT_MS);
      socket.once('error', reject);
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.off('error', reject);
        resolve(new Line(socket, spec, watch));
      });
    });
  }

  /** Never rejects: what went wrong is in the exchange. `startedMs` is when it should have started, for arrivals that were kept waiting. */
  ask(request: Buffer, startedMs = performance.now()): Promise<Exchange> {
    return new Promise((resolve) => {
      const nan = Number.NaN;
      this.#current = {
        startedMs,
        headersMs: nan,
        firstContentMs: nan,
        lastContentMs: nan,
        endedMs: nan,
        tokens: 0,
        problem: null,
      };
      this.#finish = resolve;
      this.#count = new TokenCount();
      this.#tail = '';
      if (this.isClosed) this.#settle('connection closed before asking');
      else this.#socket.write(request);
    });
  }

  close(): void {
    this.isClosed = true;
    this.#socket.destroy();
  }

  #read(bytes: Buffer): void {
    try {
      this.#reader.push(bytes);
    } catch (error) {
      this.#break(error instanceof Error ? error.message : String(error));
      this.close();
    }
  }

  #head(head: string): void {
    this.#status = statusOf(head);
    if (this.#current) this.#current.headersMs = performance.now();
  }

  #body(bytes: Buffer): void {
    const current = this.#current;
    if (!current) return;
    this.#tail = (this.#tail + bytes.toString('latin1', Math.max(0, bytes.length - 32))).slice(-32);
    const tokens = this.#count.push(bytes);
    if (tokens === 0) return;
    const nowMs = performance.now();
    if (Number.isNaN(current.firstContentMs)) current.firstContentMs = nowMs;
    current.tokens += tokens;
    this.#watch.content(current, tokens, nowMs);
    current.lastContentMs = nowMs;
  }

  #end(): void {
    const current = this.#current;
    if (!current) return;
    const isComplete = current.tokens === this.#expected && (!this.#isStream || this.#tail.includes('[DONE]'));
    this.#settle(
      this.#status !== 200
        ? `HTTP ${this.#status}`
        : isComplete
          ? null
          : `incomplete: ${current.tokens} of ${this.#expected} tokens${this.#isStream && !this.#tail.includes('[DONE]') ? ', no [DONE]' : ''}`,
    );
  }

  #break(reason: string): void {
    this.isClosed = true;
    if (this.#current) this.#settle(reason);
  }

  #settle(problem: string | null): void {
    const current = this.#current;
    const finish = this.#finish;
    this.#current = null;
    this.#finish = null;
    if (!current || !finish) return;
    current.endedMs = performance.now();
    current.problem = problem;
    finish(current);
  }
}
