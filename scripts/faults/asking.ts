import { readStream, type SeenStream } from '../e2e/stream.ts';
import type { Fail, History, Ok } from './history.ts';

/** A client gives up on an answer this long after the product should have. */
const PATIENCE_MS = 5_000;
const SIGNATURE = /\[simulated on ([^\]]+)\]/g;

export interface Ask {
  /** Names the request everywhere; also makes its prompt another one, since the same prompt is blocked after two deaths. */
  readonly marker: string;
  readonly url: string;
  readonly key: string;
  readonly model: string;
  readonly maxTokens: number;
  readonly prompt?: string;
  /** In the prompt instead of the marker, for requests that are to be the same. */
  readonly promptMarker?: string;
  readonly timeoutMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** The client leaves. */
  readonly signal?: AbortSignal;
  readonly onContent?: (node: string) => void;
  /** Asked when it was cut or found nobody: was that coordinator killed on purpose? */
  readonly isExcused?: () => boolean;
  /** For clients that retry: an ending that is followed by another try is not written down. */
  readonly isFinal?: (ending: Ok | Fail) => boolean;
  /** False for the second try of a request that is known already. */
  readonly isFirst?: boolean;
}

/** How a request ended, with what else its client saw. Times are `performance.now()`. */
export interface Told {
  readonly marker: string;
  readonly ending: Ok | Fail;
  readonly status: number | null;
  readonly node: string | null;
  readonly attempts: number;
  readonly requestId: string | null;
  readonly content: string;
  readonly sentAtMs: number;
  readonly headersAtMs: number | null;
  readonly firstContentAtMs: number | null;
  readonly errorAtMs: number | null;
  readonly endedAtMs: number;
}

/** Words and full stops: what the mock engine counts as tokens, its signature included. */
export const countShown = (content: string): number =>
  [...content.matchAll(SIGNATURE)].length + (content.replaceAll(SIGNATURE, '').match(/[^\s.]+|\./g)?.length ?? 0);

export const signaturesIn = (content: string): string[] => [...content.matchAll(SIGNATURE)].map((match) => match[1] ?? '');

type Body = Pick<Ask, 'marker' | 'model' | 'maxTokens' | 'prompt' | 'promptMarker'>;

export const bodyOf = ({ marker, model, maxTokens, prompt, promptMarker = marker }: Body) => ({
  model,
  stream: true as const,
  max_tokens: maxTokens,
  stream_options: { include_usage: true },
  messages: [{ role: 'user' as const, content: `#${promptMarker}# ${prompt ?? 'Tell me a story.'}` }],
});

/** Asks for one streamed answer, reads it to its end, whatever that is, and writes both down. Never throws. */
export const ask = async (history: History, request: Ask): Promise<Told> => {
  const { marker, timeoutMs = 30_000 } = request;
  const sentAtMs = performance.now();
  if (request.isFirst !== false)
    history.add({ type: 'invoke', request: marker, deadlineMs: history.sinceStart(sentAtMs) + timeoutMs }, sentAtMs);
  const times = { headersAtMs: null as number | null, firstContentAtMs: null as number | null, errorAtMs: null as number | null };
  const hang = AbortSignal.timeout(Math.round(timeoutMs) + PATIENCE_MS);
  let response: Response | null = null;
  let content = '';
  let ending: Unstamped;
  try {
    response = await fetch(`${request.url}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${request.key}`,
        'content-type': 'application/json',
        'x-lai-timeout': (timeoutMs / 1_000).toFixed(3),
        ...request.headers,
      },
      body: JSON.stringify(bodyOf(request)),
      signal: request.signal ? AbortSignal.any([request.signal, hang]) : hang,
    });
    times.headersAtMs = performance.now();
    const node = response.headers.get('x-lai-node');
    ending = response.ok
      ? endingOf(
          marker,
          node,
          await readStream(
            response,
            (piece) => {
              times.firstContentAtMs ??= performance.now();
              content += piece;
              request.onContent?.(node ?? '');
            },
            () => {
              times.errorAtMs ??= performance.now();
            },
          ),
        )
      : failed(marker, 'http', { code: codeIn(await response.text()) });
  } catch (error) {
    const how = request.signal?.aborted
      ? 'left'
      : hang.aborted
        ? 'hang'
        : response === null && isRefusal(error)
          ? 'connect'
          : 'cut';
    ending = failed(marker, how, { signatures: signaturesIn(content) });
  }
  const endedAtMs = performance.now();
  const excused = ending.type === 'fail' && ['cut', 'connect'].includes(ending.how) && request.isExcused?.() === true;
  const stamped = {
    ...ending,
    atMs: history.sinceStart(endedAtMs),
    ...(ending.type === 'ok'
      ? { firstContentMs: times.firstContentAtMs === null ? null : times.firstContentAtMs - sentAtMs }
      : { isExcused: excused }),
  } as Ok | Fail;
  if (request.isFinal?.(stamped) !== false) history.add(stamped, endedAtMs);
  return {
    marker,
    ending: stamped,
    status: response?.status ?? null,
    node: response?.headers.get('x-lai-node') ?? null,
    attempts: Number(response?.headers.get('x-lai-attempts') ?? 0),
    requestId: response?.headers.get('x-request-id') ?? null,
    content,
    sentAtMs,
    ...times,
    endedAtMs,
  };
};

type Unstamped = Omit<Ok, 'atMs'> | Omit<Fail, 'atMs'>;

const failed = (request: string, how: Fail['how'], change: Partial<Fail>): Omit<Fail, 'atMs'> => ({
  ...{ type: 'fail', request, how, code: null, errorEvents: 0, hasDone: false, signatures: [], isExcused: false },
  ...change,
});

export const endingOf = (request: string, node: string | null, seen: SeenStream): Unstamped => {
  const signatures = signaturesIn(seen.content);
  const [error] = seen.errors;
  if (error)
    return failed(request, 'event', {
      code: error.code ?? null,
      errorEvents: seen.errors.length,
      hasDone: seen.isDone,
      signatures,
    });
  if (!seen.isDone) return failed(request, 'cut', { signatures });
  return {
    ...{ type: 'ok', request, firstContentMs: null, node, signatures, finishReason: seen.finishReason },
    pieces: countShown(seen.content),
    usageTokens: seen.usageTokens,
  };
};

const codeIn = (text: string): string | null => {
  try {
    return (JSON.parse(text) as { error?: { code?: string } }).error?.code ?? null;
  } catch {
    return null;
  }
};

/** The connection was never made; anything else may have reached somebody. */
const isRefusal = (error: unknown): boolean =>
  error instanceof Error && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ECONNREFUSED';
