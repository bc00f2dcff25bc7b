import type { ServerResponse } from 'node:http';
import type { Frame } from '@lai/shared/attempt';
import { CodedError, ERRORS } from '@lai/shared/errors';
import type { Logger } from 'pino';
import type { Answer, Trail } from '../../dispatch/dispatcher.ts';
import { ChunkedBody } from '../../streams/chunked-body.ts';
import { UnreadableAnswer } from './chunk-reader.ts';
import { jsonOf } from './foreign-json.ts';
import type { StreamWording, WholeWording, Wording } from './wording.ts';

/** A client that takes nothing for this long holds a GPU for nobody. */
const SLOW_READER_MS = 15_000;

interface Respond<W extends Wording> {
  readonly answer: Answer;
  readonly response: ServerResponse;
  readonly requestId: string;
  readonly wording: W;
  readonly log: Logger;
  /** How a failure is told to this client. */
  reword(failure: Failed): Failed;
}

export type Ending = Exclude<Frame, { kind: 'chunk' }>;
export type Failed = Extract<Frame, { kind: 'failed' }>;

/**
 * Writes a streamed answer. Headers wait for the first content, so that they can say who serves, and so that a failure until then is
 * an honest HTTP error; when that takes longer than `keepAliveMs` they go out early and keep-alives hold the line open.
 */
export const respondStreaming = async (
  options: Respond<StreamWording> & { readonly keepAliveMs: number; readonly abandon: () => void },
): Promise<Ending | null> => {
  const { answer, response, requestId, wording } = options;
  const body = new ChunkedBody(response);
  const open = (isServed: boolean) => {
    if (response.headersSent) return;
    body.open(200, {
      'content-type': wording.contentType,
      'cache-control': 'no-cache',
      // nginx would collect the stream otherwise.
      'x-accel-buffering': 'no',
      ...wording.headers,
      ...servedHeaders(requestId, answer.trail, isServed),
      ...(isServed ? {} : queueHeaders(answer)),
    });
  };
  /** In the surface's own words, wherever the answer has come to. */
  const fail = (failure: Failed): Failed => {
    if (response.headersSent) body.end(wording.failed(failure));
    else writeError(options, failure);
    return failure;
  };
  const keepAlive = setInterval(() => {
    open(false);
    body.write(wording.keepAlive(waitingSentence(answer)));
  }, options.keepAliveMs);
  try {
    for await (const frame of answer.frames) {
      if (frame.kind === 'chunk') {
        const bytes = wording.chunk(frame.chunk, frame.bytes);
        if (bytes === null || bytes.length === 0) continue;
        open(true);
        keepAlive.refresh();
        if (!body.write(bytes) && !(await drained(response))) {
          options.abandon();
          return { kind: 'failed', code: 'slow_reader', message: 'the client read too slowly' };
        }
        continue;
      }
      if (frame.kind === 'end') {
        const last = wording.end(frame);
        open(true);
        body.end(last);
        return frame;
      }
      return fail(options.reword(frame));
    }
    return null;
  } catch (error) {
    if (!response.headersSent && error instanceof CodedError) throw error;
    return fail(unsaid(options, error));
  } finally {
    clearInterval(keepAlive);
  }
};

/** What became of an answer that could not be said: its bytes are no answer, or the words for it are wrong, which is our fault. */
const unsaid = ({ log, requestId }: Pick<Respond<Wording>, 'log' | 'requestId'>, error: unknown): Failed => {
  if (error instanceof CodedError) return { kind: 'failed', code: error.code, message: error.message };
  const code = error instanceof UnreadableAnswer ? 'engine_error' : 'internal_error';
  log[code === 'engine_error' ? 'warn' : 'error'](
    { requestId, err: error },
    'the answer cannot be written in the words of its API',
  );
  return { kind: 'failed', code, message: ERRORS[code].sentence };
};

/** Collects the same frames and answers with one body, or with an error of the right status. */
export const respondCollected = async (options: Respond<WholeWording>): Promise<Ending | null> => {
  const { answer, response, requestId, wording } = options;
  const fail = (failure: Failed): Failed => {
    writeError(options, failure);
    return failure;
  };
  try {
    for await (const frame of answer.frames) {
      if (frame.kind === 'chunk') {
        wording.push(frame.bytes);
        continue;
      }
      if (frame.kind === 'failed') return fail(options.reword(frame));
      writeJson(response, 200, { ...wording.headers, ...servedHeaders(requestId, answer.trail) }, wording.finish(frame));
      return frame;
    }
    return null;
  } catch (error) {
    if (response.headersSent || error instanceof CodedError) throw error;
    return fail(unsaid(options, error));
  }
};

/** Who serves it, unless the headers go out before that is known: the node of the moment may still lose it to another. */
const servedHeaders = (requestId: string, trail: Trail, isServed = true): Record<string, string> => {
  const served = isServed ? trail.attempts.at(-1) : undefined;
  return {
    'x-request-id': requestId,
    'x-lai-request-id': requestId,
    'x-lai-attempts': String(trail.attempts.length),
    ...(trail.queueMs === null ? {} : { 'x-lai-queue-ms': String(trail.queueMs) }),
    ...(served ? servedBy(served) : {}),
    ...routeHeaders(trail, served),
  };
};

const servedBy = ({ providerId, nodeName, model }: Trail['attempts'][number]): Record<string, string> => ({
  ...(providerId === undefined ? { 'x-lai-node': nodeName } : { 'x-lai-provider': providerId }),
  'x-lai-model': encodeURI(model),
});

/** Which way it went, and what could have answered instead: the words of `lai explain`. */
const routeHeaders = ({ route }: Trail, served: Trail['attempts'][number] | undefined): Record<string, string> => {
  if (!route) return {};
  const way = [route.asked, route.step, served?.nodeName].filter((name, at, all) => name != null && name !== all[at - 1]);
  const left = route.left.map(({ step, reason }) => `${step} (${reason})`).join(', ');
  return {
    'x-lai-route': headerText(way.join(' > ')),
    ...(left === '' ? {} : { 'x-lai-fallback': headerText(left) }),
  };
};

/** Names may hold any letters; a header may not. */
const headerText = (text: string): string => text.toWellFormed().replaceAll(/[^\x20-\x7e]/gu, encodeURIComponent);

/** Where it stood when the headers had to go out. */
const queueHeaders = (answer: Answer): Record<string, string> => {
  const waiting = answer.waiting();
  if (waiting === null) return {};
  const eta = waiting.etaMs === null ? {} : { 'x-lai-queue-eta-ms': String(waiting.etaMs) };
  return { 'x-lai-queue-position': String(waiting.position), ...eta };
};

/** Said in comments, which every client skips and every person with curl can read. */
const waitingSentence = (answer: Answer): string => {
  const waiting = answer.waiting();
  if (waiting === null) return 'keep-alive';
  const eta = waiting.etaMs === null ? '' : `, about ${Math.ceil(waiting.etaMs / 1_000)} s`;
  return `keep-alive, position ${waiting.position} in the queue${eta}`;
};

const writeError = ({ response, requestId, wording, answer }: Respond<Wording>, failure: Failed): void => {
  const { status, headers, body } = wording.error(failure, requestId);
  writeJson(response, status, { ...headers, ...servedHeaders(requestId, answer.trail) }, body);
};

/** Bytes are taken for JSON already. */
export const writeJson = (response: ServerResponse, status: number, headers: Record<string, string>, body: unknown): void => {
  const bytes = body instanceof Uint8Array ? body : Buffer.from(jsonOf(body));
  response.writeHead(status, { 'content-type': 'application/json', ...headers, 'content-length': bytes.length });
  response.end(bytes);
};

/** False when the client does not take what was written. */
const drained = (response: ServerResponse): Promise<boolean> =>
  new Promise((resolve) => {
    const finish = (isDrained: boolean) => {
      clearTimeout(timer);
      response.off('drain', drain);
      response.off('close', close);
      resolve(isDrained);
    };
    const drain = () => finish(true);
    const close = () => finish(false);
    const timer = setTimeout(() => finish(false), SLOW_READER_MS);
    response.once('drain', drain);
    response.once('close', close);
  });
