import type { ServerResponse } from 'node:http';
import type { Frame } from '@lai/shared/attempt';
import { DONE, sseComment, sseData } from '@lai/shared/sse';
import type { Answer, Trail } from '../../dispatch/dispatcher.ts';
import { ChatCollector } from './collect.ts';
import { errorBody, errorResponse } from './error-envelope.ts';

/** A client that takes nothing for this long holds a GPU for nobody. */
const SLOW_READER_MS = 15_000;

export interface RespondOptions {
  readonly answer: Answer;
  readonly response: ServerResponse;
  readonly requestId: string;
  /** Stops the work behind the answer; see AttemptRequest. */
  readonly abandon: () => void;
}

export type Ending = Exclude<Frame, { kind: 'chunk' }>;

/**
 * Writes a streamed answer. The engine's bytes go to the socket as they came. Headers wait for the first content, so that they can say
 * who serves, and so that a failure until then is an honest HTTP error; when that takes longer than `keepAliveMs` they go out early
 * and comments keep the line open.
 */
export const respondStreaming = async (
  options: RespondOptions & { readonly includeUsage: boolean; readonly keepAliveMs: number },
): Promise<Ending | null> => {
  const { answer, response, requestId } = options;
  const open = () => {
    if (!response.headersSent) response.writeHead(200, { ...STREAM_HEADERS, ...servedHeaders(requestId, answer.trail) });
  };
  const keepAlive = setInterval(() => {
    open();
    response.write(sseComment(waitingSentence(answer)));
  }, options.keepAliveMs);
  try {
    for await (const frame of answer.frames) {
      if (frame.kind === 'chunk') {
        if (frame.chunk === 'usage' && !options.includeUsage) continue;
        open();
        keepAlive.refresh();
        if (!response.write(frame.bytes) && !(await drained(response))) {
          options.abandon();
          return { kind: 'failed', code: 'slow_reader', message: 'the client read too slowly' };
        }
        continue;
      }
      if (frame.kind === 'end') {
        open();
        response.end(sseData(DONE));
      } else if (response.headersSent) {
        // In the stream and without [DONE]: SDKs throw on this, while a bare end would pass for a complete answer.
        response.end(sseData(errorBody(frame)));
      } else {
        writeError(response, requestId, answer.trail, frame);
      }
      return frame;
    }
    return null;
  } finally {
    clearInterval(keepAlive);
  }
};

/** Collects the same frames and answers with one JSON object, or with an error of the right status. */
export const respondCollected = async ({ answer, response, requestId }: RespondOptions): Promise<Ending | null> => {
  const collector = new ChatCollector();
  for await (const frame of answer.frames) {
    if (frame.kind === 'chunk') {
      collector.push(frame.bytes);
      continue;
    }
    if (frame.kind === 'end') writeJson(response, 200, servedHeaders(requestId, answer.trail), collector.finish());
    else writeError(response, requestId, answer.trail, frame);
    return frame;
  }
  return null;
};

const STREAM_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  // nginx would collect the stream otherwise.
  'x-accel-buffering': 'no',
} as const;

/** Who served it, as far as it is known when the headers go out. */
const servedHeaders = (requestId: string, trail: Trail): Record<string, string> => {
  const served = trail.attempts.at(-1);
  return {
    'x-request-id': requestId,
    'x-lai-request-id': requestId,
    'x-lai-attempts': String(trail.attempts.length),
    ...(trail.queueMs === null ? {} : { 'x-lai-queue-ms': String(trail.queueMs) }),
    ...(served ? { 'x-lai-node': served.nodeName, 'x-lai-model': encodeURI(served.model) } : {}),
  };
};

const waitingSentence = (answer: Answer): string => {
  const position = answer.position();
  return position === null ? 'keep-alive' : `keep-alive, position ${position} in the queue`;
};

const writeError = (
  response: ServerResponse,
  requestId: string,
  trail: Trail,
  failure: Extract<Frame, { kind: 'failed' }>,
): void => {
  const { status, headers, body } = errorResponse(failure);
  writeJson(response, status, { ...headers, ...servedHeaders(requestId, trail) }, body);
};

export const writeJson = (response: ServerResponse, status: number, headers: Record<string, string>, body: unknown): void => {
  const text = JSON.stringify(body);
  response.writeHead(status, { ...headers, 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
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
