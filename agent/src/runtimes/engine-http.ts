import http from 'node:http';
import { z } from 'zod';
import { classifyEngineError, classifySocketError } from './engine-error.ts';
import { RuntimeError } from './runtime.ts';

/** Engines are on loopback; connections are kept, because a new one per request costs more than the request's own overhead. */
const connections = new http.Agent({ keepAlive: true, maxFreeSockets: 32 });

export interface EngineRequest {
  readonly url: URL;
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON text. */
  readonly body?: string | Uint8Array;
  readonly signal: AbortSignal;
}

/**
 * Opens one request to an engine and resolves with its response once the headers are there. Built on node:http because fetch gives
 * up after 300 s without headers, and engines send theirs with the first token, a cold load included. Aborting the signal closes
 * the connection, which is what makes an engine stop generating.
 */
export const openEngineRequest = ({
  url,
  method = 'GET',
  headers = {},
  body,
  signal,
}: EngineRequest): Promise<http.IncomingMessage> =>
  new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    // Ollama answers 400 to a DELETE whose length is not stated, so it always is.
    const request = http.request(url, { method, agent: connections, headers: { ...length, ...headers }, signal });
    let hasAnswered = false;
    request.setNoDelay(true);
    request.once('response', (response) => {
      hasAnswered = true;
      resolve(response);
    });
    request.on('error', (error: NodeJS.ErrnoException) => {
      if (hasAnswered) return;
      if (signal.aborted) reject(signal.reason);
      else if (error.code === 'ECONNRESET' && request.reusedSocket)
        resolve(openEngineRequest({ url, method, headers, signal, ...(body === undefined ? {} : { body }) }));
      else
        reject(
          new RuntimeError(classifySocketError(error.code, false), `${url.origin}: ${error.code ?? error.message}`, {
            cause: error,
          }),
        );
    });
    request.end(body);
  });

/** The rest of a response as text, at most `limitBytes` of it. */
export const readText = async (response: http.IncomingMessage, limitBytes = 8 * 1024 * 1024): Promise<string> => {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > limitBytes) {
      response.destroy();
      throw new RuntimeError('engine_error', `answer longer than ${limitBytes} bytes`);
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
};

/** One call to an engine's management routes (not inference). Fails with RuntimeError, the engine's text as its detail. */
export const callEngine = async <T>(
  url: URL,
  schema: z.ZodType<T>,
  options: Omit<EngineRequest, 'url' | 'body'> & { body?: unknown },
): Promise<T> => {
  const { body, ...rest } = options;
  const response = await openEngineRequest({ url, ...rest, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const text = await readText(response);
  const status = response.statusCode ?? 0;
  if (status < 200 || status > 299)
    throw new RuntimeError(classifyEngineError(status, text), `HTTP ${status}: ${text.slice(0, 1_000)}`);
  const parsed = schema.safeParse(parseJson(text));
  if (!parsed.success)
    throw new RuntimeError('engine_error', `${url.pathname} answered something unexpected: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
};

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};
