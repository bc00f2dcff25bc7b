import http from 'node:http';
import https from 'node:https';
import { CodedError } from '@lai/shared/errors';

/** One call to a provider. */
export interface UpstreamCall {
  readonly url: URL;
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | null;
  readonly connectTimeoutMs: number;
  /** Until the headers of the answer, and between two pieces of it. */
  readonly readTimeoutMs: number;
  readonly signal: AbortSignal;
}

/** Enough to tell what an error means. */
export const ERROR_BYTES = 64 * 1024;
const AGENT_OPTIONS = { keepAlive: true, keepAliveMsecs: 5_000, maxSockets: 256, maxFreeSockets: 16, timeout: 30_000 } as const;
const agents = { 'http:': new http.Agent(AGENT_OPTIONS), 'https:': new https.Agent(AGENT_OPTIONS) } as const;

/**
 * The head of the answer; its body is still to be read. Redirects are never followed: they would carry the key, and the prompt, to an
 * origin that nobody configured. Throws CodedError; nothing of the prompt or the key is in its words.
 */
export const callUpstream = (call: UpstreamCall): Promise<http.IncomingMessage> =>
  new Promise((resolve, reject) => {
    const { url, method, headers, body, signal } = call;
    const program = url.protocol === 'https:' ? https : http;
    const request = program.request(url, {
      method,
      signal,
      agent: url.protocol === 'https:' ? agents['https:'] : agents['http:'],
      headers: { ...headers, ...(body ? { 'content-type': 'application/json', 'content-length': body.length } : {}) },
    });
    const fail = (code: 'provider_unreachable' | 'first_token_timeout', detail: string) => {
      reject(new CodedError(code, { detail }));
      request.destroy();
    };
    const connecting = setTimeout(() => fail('provider_unreachable', 'no connection in time'), call.connectTimeoutMs);
    const waiting = setTimeout(
      () => fail('first_token_timeout', 'no answer in time'),
      call.connectTimeoutMs + call.readTimeoutMs,
    );
    request.on('socket', (socket) => {
      const connected = () => clearTimeout(connecting);
      if (!socket.connecting) connected();
      else socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', connected);
    });
    request.once('response', (response) => {
      clearTimeout(connecting);
      clearTimeout(waiting);
      resolve(response);
    });
    request.once('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(connecting);
      clearTimeout(waiting);
      if (signal.aborted) reject(new CodedError('canceled'));
      else reject(new CodedError('provider_unreachable', { detail: error.code ?? error.name }));
    });
    request.end(body ?? undefined);
  });

/** Text of a short body, or its beginning. */
export const readShort = async (response: http.IncomingMessage, timeoutMs: number, mostBytes = ERROR_BYTES): Promise<string> => {
  const pieces: Buffer[] = [];
  let bytes = 0;
  const timer = setTimeout(() => response.destroy(), timeoutMs);
  try {
    for await (const piece of response as AsyncIterable<Buffer>) {
      bytes += piece.length;
      pieces.push(piece);
      if (bytes > mostBytes) break;
    }
  } catch {
    // What came is enough to classify it.
  } finally {
    clearTimeout(timer);
    response.destroy();
  }
  return Buffer.concat(pieces).toString('utf8', 0, mostBytes);
};
