import type { ChunkKind, Frame } from '@lai/shared/attempt';
import { isFinishReason } from '@lai/shared/engine-words';
import type { ErrorCode } from '@lai/shared/errors';
import { DONE, sseComment, sseData } from '@lai/shared/sse';
import { UnreadableAnswer } from './chunk-reader.ts';
import { type ErrorResponse, errorBody, errorResponse } from './error-envelope.ts';

export type EndFrame = Extract<Frame, { kind: 'end' }>;

export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly param?: string | null;
  readonly retryAfterSeconds?: number | undefined;
}

/** How one API says what happens to a request. The request's way through the fleet is the same for all of them. */
export type Wording = StreamWording | WholeWording;

interface AnyWording {
  /** Before anything was written: a status of its own. */
  error(failure: Failure, requestId: string): ErrorResponse<unknown>;
  /** Headers of a good answer besides the usual ones. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface StreamWording extends AnyWording {
  readonly kind: 'stream';
  readonly contentType: string;
  /** What keeps the line open while nothing else is said; the first one also sends the headers. */
  keepAlive(sentence: string): string;
  /** What the client gets of the runtime's bytes; null for nothing. */
  chunk(kind: ChunkKind, bytes: Uint8Array): Uint8Array | string | null;
  end(frame: EndFrame): string;
  /** In the stream, because the headers are out. */
  failed(failure: Failure): string;
}

export interface WholeWording extends AnyWording {
  readonly kind: 'whole';
  push(bytes: Uint8Array): void;
  /** The answer: bytes of JSON as they are, or a value to be written as JSON. */
  finish(frame: EndFrame): unknown;
}

const SSE = 'text/event-stream; charset=utf-8';

export const sseWording = { kind: 'stream', contentType: SSE, keepAlive: sseComment } as const;

/** OpenAI's streams: the runtime's bytes as they came, our own end. */
export const passThrough = ({ includeUsage }: { includeUsage: boolean }): StreamWording => {
  let hasChoices = false;
  return {
    ...sseWording,
    error: errorResponse,
    chunk: (kind, bytes) => {
      hasChoices ||= kind !== 'usage';
      return kind === 'usage' && !includeUsage ? null : bytes;
    },
    end: ({ finishReason }) => {
      if (!hasChoices) throw new UnreadableAnswer('the answer has no choices');
      if (!isFinishReason(finishReason)) throw new UnreadableAnswer(`finish_reason ${finishReason}`);
      return sseData(DONE);
    },
    // Without [DONE]: SDKs throw on this, while a bare end would pass for a complete answer.
    failed: (failure) => sseData(errorBody(failure)),
  };
};

/** OpenAI's whole answers, put together by a collector. */
export const collected = (collector: Pick<WholeWording, 'push' | 'finish'>): WholeWording => ({
  kind: 'whole',
  error: errorResponse,
  push: (bytes) => collector.push(bytes),
  finish: (frame) => collector.finish(frame),
});
