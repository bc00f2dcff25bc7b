import { addressOf, type Filling } from '@lai/shared/contract/address';
import type { ManagementName, QueryOf, RequestOf, ResponseOf } from '@lai/shared/contract/management';

/** What the coordinator said instead of an answer, in its own words. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly requestId: string | null;

  constructor(options: { message: string; status: number; code: string; requestId: string | null }) {
    super(options.message);
    this.name = 'ApiError';
    this.status = options.status;
    this.code = options.code;
    this.requestId = options.requestId;
  }
}

type Wish<Name extends ManagementName> = Filling<Name, QueryOf<Name>> &
  (RequestOf<Name> extends undefined ? { readonly body?: undefined } : { readonly body: RequestOf<Name> }) & {
    readonly signal?: AbortSignal;
  };

const LIMIT_MS = 15_000;
/** The coordinator may have to make the release of the agent first. */
const LIMITS: Partial<Record<ManagementName, number>> = { 'POST /api/v1/join-commands': 5 * 60_000 };

let onSignedOut: () => void = () => {};
/** Called when an answer says that nobody is signed in any more. */
export const whenSignedOut = (listener: () => void): void => {
  onSignedOut = listener;
};

/** Asks for an operation of the contract. Types come from there, no schema does: the coordinator has checked what it answers. */
export const call = async <Name extends ManagementName>(
  name: Name,
  ...[wish]: Record<never, never> extends Wish<Name> ? [Wish<Name>?] : [Wish<Name>]
): Promise<ResponseOf<Name>> => {
  const response = await send(name, wish);
  return (response.status === 204 ? undefined : await response.json()) as ResponseOf<Name>;
};

/** The same for an operation that answers with a stream: what is begun goes on when nobody reads, so one line is enough. */
export const begin = async (name: ManagementName, wish: { path: Record<string, string>; body: unknown }): Promise<void> => {
  const response = await send(name, wish);
  await response.body?.cancel();
};

const send = async (
  name: ManagementName,
  wish: {
    path?: Record<string, string> | undefined;
    query?: object;
    body?: unknown;
    signal?: AbortSignal;
  } = {},
): Promise<Response> => {
  const { method, path } = addressOf(name, wish);
  const limit = AbortSignal.timeout(LIMITS[name] ?? LIMIT_MS);
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers: wish.body === undefined ? {} : { 'content-type': 'application/json' },
      ...(wish.body === undefined ? {} : { body: JSON.stringify(wish.body) }),
      signal: wish.signal ? AbortSignal.any([wish.signal, limit]) : limit,
    });
  } catch (error) {
    if (wish.signal?.aborted) throw error;
    const message = 'The coordinator does not answer. Look whether it is running, then try again.';
    throw new ApiError({ message, status: 0, code: 'no_answer', requestId: null });
  }
  if (response.ok) return response;
  const error = await problemIn(response);
  if (error.status === 401 && name !== 'POST /api/v1/session') onSignedOut();
  throw error;
};

const problemIn = async (response: Response): Promise<ApiError> => {
  const body = (await response.json().catch(() => null)) as {
    error?: { message?: unknown; code?: unknown };
  } | null;
  return new ApiError({
    message: String(body?.error?.message ?? `The coordinator answered HTTP ${response.status}.`),
    status: response.status,
    code: String(body?.error?.code ?? response.status),
    requestId: response.headers.get('x-request-id'),
  });
};
