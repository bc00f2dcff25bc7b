import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { type MockEngine, type MockEngineOptions, startMockEngine } from './mock-engine.ts';
import type { Tuning } from './options.ts';

/** What the tests of this folder share: engines that answer at once, and raw HTTP with every chunk as it came. */

export const QUICK: Partial<Tuning> = { tps: 0, prefillMs: 0, coldLoadMsPerGb: 0, unloadMs: 0, vramLagMs: 0 };

export const quickEngine = (options: Partial<MockEngineOptions> & Pick<MockEngineOptions, 'dialect'>): Promise<MockEngine> =>
  startMockEngine({
    name: 'rtx-3070',
    models: 'small=1GB,caps=chat+tools+vision;other=1GB,caps=chat;embed=0.2GB,caps=embedding',
    ...options,
    tuning: { ...QUICK, ...options.tuning },
  });

export interface Received {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly chunks: readonly Buffer[];
  readonly body: string;
  /** How the connection ended, when not properly. */
  readonly error: string | null;
}

export interface Call {
  readonly headers?: Record<string, string>;
  readonly method?: string;
  readonly signal?: AbortSignal;
  /** Called with everything that came so far, at every chunk. */
  readonly onChunk?: (text: string) => void;
}

/** One request; resolves however it ends. Status 0 = no answer at all. */
export const call = (url: string, body?: unknown, options: Call = {}): Promise<Received> =>
  new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let response: IncomingMessage | null = null;
    const done = (error: string | null): void =>
      resolve({
        status: response?.statusCode ?? 0,
        headers: response?.headers ?? {},
        chunks,
        body: Buffer.concat(chunks).toString('utf8'),
        error,
      });
    const raw = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
    const sent: ClientRequest = request(
      url,
      {
        method: options.method ?? (raw === undefined ? 'GET' : 'POST'),
        headers: { ...(raw === undefined ? {} : { 'content-length': String(Buffer.byteLength(raw)) }), ...options.headers },
        ...(options.signal ? { signal: options.signal } : {}),
        agent: false,
      },
      (answer) => {
        response = answer;
        answer.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          options.onChunk?.(Buffer.concat(chunks).toString('utf8'));
        });
        answer.on('end', () => done(null));
        answer.on('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
      },
    );
    sent.on('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
    sent.end(raw);
  });

export const chatBody = (content: string, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  model: 'small',
  messages: [{ role: 'user', content }],
  ...more,
});

/** The payloads of a stream: events of SSE, or lines of NDJSON. Not parsed, so that [DONE] and rubbish stay visible. */
export const payloads = (body: string): string[] =>
  body
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (line.startsWith('data: ') ? line.slice(6) : line));

/** The text that a client would put together from a stream of any dialect. */
export const saidBy = (body: string): string =>
  payloads(body)
    .filter((payload) => payload.startsWith('{'))
    .map((payload) => {
      const event = JSON.parse(payload);
      const choice = event.choices?.[0];
      return choice?.delta?.content ?? choice?.text ?? event.message?.content ?? event.response ?? '';
    })
    .join('');

/** Polls until it holds; fails with the question's name when it does not in time. */
export const until = async (what: string, holds: () => boolean | Promise<boolean>, withinMs = 3000): Promise<void> => {
  const deadlineMs = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

/** Strings that are part of the protocol; all others are just strings. */
const TELLING = new Set([
  'object',
  'type',
  'role',
  'finish_reason',
  'done_reason',
  'status',
  'value',
  'owned_by',
  'event',
  'message',
  'error',
]);

/**
 * What stays of a JSON value when names, numbers and texts are taken out: keys in their order, kinds of values, and the words
 * of the protocol. Two answers with the same shape look the same to a parser.
 */
export const shapeOf = (value: unknown, key = ''): string => {
  if (Array.isArray(value)) return value.length === 0 ? '[]' : `[${shapeOf(value[0], key)}]`;
  if (typeof value === 'object' && value !== null) {
    return `{${Object.entries(value)
      .map(([name, item]) => `${name}:${shapeOf(item, name)}`)
      .join(',')}}`;
  }
  if (typeof value === 'string') return TELLING.has(key) ? JSON.stringify(value.replaceAll(/\d+/g, 'N')) : 'string';
  return typeof value === 'number' ? 'number' : String(value);
};

/** The shapes of a whole body, with repetitions taken out. What is no JSON is kept as it is. */
export const shapesOf = (body: string): string[] => {
  const shapes = payloads(body).map((payload) => {
    try {
      return shapeOf(JSON.parse(payload));
    } catch {
      return payload;
    }
  });
  return shapes.filter((shape, at) => shape !== shapes[at - 1]);
};
