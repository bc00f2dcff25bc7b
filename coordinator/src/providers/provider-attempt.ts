import type http from 'node:http';
import { Normaliser } from '@lai/shared/answer-normaliser';
import { AnswerScanner, type Piece, type StreamEnding } from '@lai/shared/answer-scanner';
import type { AttemptRoute, Frame } from '@lai/shared/attempt';
import { CodedError, ERRORS, type ErrorCode } from '@lai/shared/errors';
import { readWhole } from '@lai/shared/whole-answer';
import { isPermit, type Permit } from '../routing/stays-home.ts';
import { classify, type ProviderFailure } from './failure-class.ts';
import type { Provider } from './provider.ts';
import { callUpstream, readShort } from './upstream.ts';

export interface ProviderCall {
  readonly provider: Provider;
  /** Proof of `resolve` that this request may reach this provider. */
  readonly permit: Permit;
  readonly route: AttemptRoute;
  readonly body: Uint8Array;
  readonly signal: AbortSignal;
}

export type ProviderFrame =
  | Exclude<Frame, { kind: 'failed' }>
  | (Extract<Frame, { kind: 'failed' }> & { readonly failure: ProviderFailure });

const MAX_WHOLE_BYTES = 64 * 1024 * 1024;

/**
 * One call, as frames: the only function that sends a client's request to a provider. The last frame is `end` or `failed`. The upstream
 * connection closes when the frames are no longer read or `signal` is aborted.
 */
export async function* attemptProvider({
  provider,
  permit,
  route,
  body,
  signal,
}: ProviderCall): AsyncGenerator<ProviderFrame, void> {
  if (!isPermit(permit)) throw new Error('a provider was asked without a permit');
  const closing = new AbortController();
  const stop = () => closing.abort();
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    const response = await callUpstream({
      url: route === 'embeddings' ? provider.embeddingsUrl : provider.chatUrl,
      method: 'POST',
      headers: { ...provider.auth, accept: route === 'embeddings' ? 'application/json' : 'text/event-stream' },
      body,
      connectTimeoutMs: provider.connectTimeoutMs,
      readTimeoutMs: provider.readTimeoutMs,
      signal: closing.signal,
    });
    const status = response.statusCode ?? 0;
    if (status >= 300 && status < 400) {
      response.destroy();
      yield failed('provider_error', `${provider.id} answered with a redirect, which is not followed`);
    } else if (status < 200 || status > 299) {
      const reply = { status, headers: response.headers, body: await readShort(response, provider.readTimeoutMs) };
      const failure = classify(reply);
      yield failed(failure.code, `${provider.id} answered HTTP ${status}`, failure);
    } else if (route === 'embeddings') yield* whole(response, provider);
    else if (isEventStream(response)) yield* streamed(response, provider);
    else {
      response.destroy();
      yield failed('provider_error', `${provider.id} answered with something that is no event stream`);
    }
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    const isTransient = error.code === 'provider_unreachable';
    yield failed(error.code, error.detail ?? error.code, { code: error.code, retryAfterMs: null, isTransient });
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
  }
}

const isEventStream = ({ headers }: http.IncomingMessage): boolean =>
  (headers['content-type'] ?? '').toLowerCase().startsWith('text/event-stream');

async function* streamed(response: http.IncomingMessage, provider: Provider): AsyncGenerator<ProviderFrame, void> {
  const scanner = new AnswerScanner(new Normaliser(), { needsDone: provider.needsDone });
  const startedAtMs = performance.now();
  let firstContentMs: number | null = null;
  const framesOf = (pieces: readonly Piece[]): ProviderFrame[] =>
    pieces.map(({ kind, text }) => {
      if (kind === 'content') firstContentMs ??= performance.now() - startedAtMs;
      return { kind: 'chunk', chunk: kind, bytes: Buffer.from(text, 'latin1') };
    });
  const cut = yield* readPieces(response, provider, (bytes) => {
    const frames = framesOf(scanner.push(bytes.toString('latin1')));
    return { frames, isOver: scanner.hasFailed || scanner.isTooLong };
  });
  if (cut) {
    yield failed(cut === 'timeout' ? 'stall_timeout' : 'incomplete_answer', `${provider.id} stopped in the middle of its answer`);
    return;
  }
  const { pieces, ending } = scanner.finish();
  yield* framesOf(pieces);
  yield endingOf(ending, provider, { firstContentMs, totalMs: performance.now() - startedAtMs });
}

const endingOf = (
  ending: StreamEnding,
  { id }: Provider,
  timings: { firstContentMs: number | null; totalMs: number },
): ProviderFrame => {
  if (ending.kind === 'complete') return { kind: 'end', finishReason: ending.finishReason, usage: ending.usage, timings };
  if (ending.kind === 'incomplete') return failed('incomplete_answer', `${id} ended its answer without finishing it`);
  const failure = classify({ status: 500, headers: {}, body: ending.text });
  return failed(failure.code, `${id} reported an error in its answer`, { ...failure, isTransient: false });
};

/** Yields frames of the pieces as they come; says what cut the answer short, if anything did. */
async function* readPieces(
  response: http.IncomingMessage,
  provider: Provider,
  take: (bytes: Buffer) => { readonly frames: readonly ProviderFrame[]; readonly isOver: boolean },
): AsyncGenerator<ProviderFrame, 'timeout' | 'lost' | null> {
  let isLate = false;
  const watch = () =>
    setTimeout(() => {
      isLate = true;
      response.destroy();
    }, provider.readTimeoutMs);
  let timer = watch();
  try {
    for await (const bytes of response as AsyncIterable<Buffer>) {
      clearTimeout(timer);
      const { frames, isOver } = take(bytes);
      yield* frames;
      if (isOver) return null;
      timer = watch();
    }
    // Destroyed by the watch it ends without an error on some versions of Node.
    return isLate ? 'timeout' : null;
  } catch {
    return isLate ? 'timeout' : 'lost';
  } finally {
    clearTimeout(timer);
    response.destroy();
  }
}

async function* whole(response: http.IncomingMessage, provider: Provider): AsyncGenerator<ProviderFrame, void> {
  const startedAtMs = performance.now();
  const pieces: Buffer[] = [];
  let size = 0;
  const cut = yield* readPieces(response, provider, (bytes) => {
    size += bytes.length;
    pieces.push(bytes);
    return { frames: [], isOver: size > MAX_WHOLE_BYTES };
  });
  if (cut || size > MAX_WHOLE_BYTES) {
    yield failed('incomplete_answer', `${provider.id} did not send a whole answer`);
    return;
  }
  const answer = readWhole('embeddings', Buffer.concat(pieces).toString(), { isPlain: false });
  if (answer.kind !== 'answer') {
    yield failed('provider_error', `${provider.id} answered without vectors`);
    return;
  }
  yield { kind: 'chunk', chunk: 'content', bytes: Buffer.from(answer.text) };
  const totalMs = performance.now() - startedAtMs;
  yield { kind: 'end', finishReason: 'stop', usage: null, timings: { firstContentMs: totalMs, totalMs } };
}

const failed = (
  code: ErrorCode,
  detail: string,
  failure: ProviderFailure = { code, retryAfterMs: null, isTransient: false },
): ProviderFrame => ({
  ...{ kind: 'failed', code, message: ERRORS[code].sentence, detail, failure },
  ...(failure.retryAfterMs === null ? {} : { retryAfterSeconds: Math.ceil(failure.retryAfterMs / 1_000) }),
});
