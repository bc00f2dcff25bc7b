import { unreachable } from '@lai/shared/unreachable';
import { z } from 'zod';

/** Whom a command asks: the coordinator's address and a key; null asks as nobody. */
export interface Asked {
  readonly url: string;
  readonly key: string | null;
}

const Problem = z.object({ error: z.object({ message: z.string() }) });
const LIMIT_MS = 10_000;
/** Of an answer that is not ours, in case it explains itself. */
const TITLE = /<title>([^<]{1,80})<\/title>/i;

/**
 * One request to a coordinator. Throws a sentence with what, why and what to do when it cannot be reached, is no coordinator, or says no.
 * `limitMs: null` is for answers that stream; whoever reads them watches them.
 */
export const askCoordinator = async (
  { url, key }: Asked,
  path: string,
  { limitMs = LIMIT_MS, signal, ...init }: RequestInit & { limitMs?: number | null } = {},
): Promise<Response> => {
  const signals = [...(limitMs === null ? [] : [AbortSignal.timeout(limitMs)]), ...(signal ? [signal] : [])];
  const response = await fetch(`${url}${path}`, {
    ...init,
    headers: {
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      ...(init.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...init.headers,
    },
    redirect: 'error',
    ...(signals.length > 0 ? { signal: AbortSignal.any(signals) } : {}),
  }).catch((error: unknown) => {
    if (signal?.aborted) throw error;
    throw new Error(notReached(error, url), { cause: error });
  });
  if (response.ok) return response;
  throw new Error(refusal(response.status, await response.text().catch(() => ''), url));
};

/** The body as the schema says. */
export const readAs = async <T>(schema: z.ZodType<T>, response: Response, url: string): Promise<T> => {
  const parsed = schema.safeParse(jsonOr(await response.text()));
  if (parsed.success) return parsed.data;
  throw new Error(notLai(url, 'its answer is of another kind'));
};

export const jsonOr = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
};

const notReached = (error: unknown, url: string): string => {
  const { kind, what, next } = unreachable(error, url);
  if (kind === 'nobody')
    return `No coordinator answers at ${url}: nothing listens there. Start it with \`npm start\` or \`lai up\`, or name another with LAI_URL.`;
  return `No coordinator answers at ${url}. ${what} ${next ?? 'Is it running, and is the address right?'}`;
};

const refusal = (status: number, text: string, url: string): string => {
  const message = Problem.safeParse(jsonOr(text)).data?.error.message;
  if (message === undefined) {
    const title = TITLE.exec(text)?.[1];
    return notLai(url, `it says HTTP ${status}${title ? `, ${title.trim()}` : ''}`);
  }
  const said = /[.?!]$/.test(message) ? message : `${message}.`;
  if (status === 401) return `${said} Check LAI_API_KEY; \`lai keys create\` on the coordinator's machine makes a key.`;
  if (status === 403) return `${said} This command needs a key with more rights: \`lai keys create NAME --admin\`.`;
  return said;
};

const notLai = (url: string, how: string): string =>
  `What answers at ${url} is no Lai coordinator, or of another version: ${how}. Check LAI_URL and LAI_PORT.`;
