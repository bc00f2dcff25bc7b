import type { BlockList } from 'node:net';
import type { HttpBindings } from '@hono/node-server';
import { CodedError } from '@lai/shared/errors';
import type { Context, MiddlewareHandler } from 'hono';
import { matchedRoutes } from 'hono/route';
import { getPath } from 'hono/utils/url';
import type { ApiKeys } from './api-keys.ts';
import { type Action, type ActionObject, authorize } from './authorize.ts';
import { type ClientAddress, clientAddress } from './client-address.ts';
import { keyOf, splitKeyPath } from './credentials.ts';
import type { FailureLimits } from './failure-limits.ts';
import type { StillMay, Use } from './in-use.ts';
import type { Principal } from './principal.ts';
import { isSameOrigin } from './same-origin.ts';
import { cookieName, readSessionCookie } from './session-cookie.ts';
import type { Session, Sessions } from './sessions.ts';

export interface AccessVariables {
  client: ClientAddress;
  /** Scheme and host as the client knows us. */
  ownOrigin: string;
  /** Of the cookie that keeps a session on the way that this request took; null where nobody can sign in. */
  cookieName: string | null;
  /** Of somebody who has signed in; a key has none. */
  session: Session | null;
  principal: Principal;
  /** Aborted when the principal loses its right while the request is being answered. */
  revoked: AbortSignal;
}

/** What `may` needs of a request. */
type AccessContext = Context<{ Bindings: HttpBindings; Variables: AccessVariables }>;

const NEVER = new AbortController().signal;

/** Which action a handler guards; the matrix test reads it, and so does `refuseUnguarded`. */
const guarded = new WeakMap<object, Action>();

export const guardedAction = (handler: object): Action | undefined => guarded.get(handler);

/**
 * Makes the guards that stand in front of every route: `app.get(path, may('fleet.read'), …)`. A guard finds out who asks, counts those
 * who do not know, and asks `authorize`.
 */
export const guards =
  (options: { apiKeys: ApiKeys; sessions: Sessions; failures: FailureLimits; now?: () => number }) =>
  (action: Action): MiddlewareHandler => {
    const guard = async (c: AccessContext, next: () => Promise<void>): Promise<void> => {
      if (authorize(null, action).kind === 'allowed') {
        c.set('revoked', NEVER);
        return next();
      }
      const nowMs = (options.now ?? Date.now)();
      const shown = {
        authorization: c.req.header('authorization'),
        xApiKey: c.req.header('x-api-key'),
        inPath: splitKeyPath(getPath(c.req.raw)).key,
      };
      const cookie = readSessionCookie(c.req.header('cookie'), c.var.cookieName);
      // A key that is shown counts, right or wrong; a browser that shows none is asked for its cookie.
      const isBrowser = cookie !== null && Object.values(shown).every((place) => !place);
      const found = isBrowser ? await bySession(c, cookie, options.sessions, nowMs) : await byKey(shown, options.apiKeys, nowMs);
      if (!found) throw refusal(options.failures.failed(c.var.client.address, nowMs));
      demand(found.principal, action);
      const use = found.use((principal) => authorize(principal, action).kind === 'allowed');
      c.env.outgoing.once('close', use.end);
      c.set('principal', found.principal);
      c.set('session', found.session);
      c.set('revoked', use.signal);
      return next();
    };
    guarded.set(guard, action);
    return guard as MiddlewareHandler;
  };

interface Found {
  readonly principal: Principal;
  readonly session: Session | null;
  use(stillMay: StillMay): Use;
}

const byKey = async (shown: Parameters<typeof keyOf>[0], apiKeys: ApiKeys, nowMs: number): Promise<Found | null> => {
  const key = keyOf(shown);
  const principal = key && (await apiKeys.authenticate(key, nowMs));
  return key && principal ? { principal, session: null, use: (stillMay) => apiKeys.use(key, stillMay) } : null;
};

/** A cookie comes along with whatever any page makes the browser send, so what changes something must come from a page of ours. */
const bySession = async (c: AccessContext, cookie: string, sessions: Sessions, nowMs: number): Promise<Found | null> => {
  const session = await sessions.find(cookie, nowMs);
  if (!session) return null;
  const isHarmless = c.req.method === 'GET' || c.req.method === 'HEAD';
  if (!isHarmless && !isSameOrigin(originHeaders(c), c.var.ownOrigin)) throw new CodedError('cross_site_refused');
  return { principal: session.principal, session, use: (stillMay) => sessions.use(session.digest, stillMay) };
};

export const originHeaders = (c: Context): { origin: string | undefined; secFetchSite: string | undefined } => ({
  origin: c.req.header('origin'),
  secFetchSite: c.req.header('sec-fetch-site'),
});

/** For what is known only after the guard: which model, whose entry. Throws what the client is told. */
export const demand = (principal: Principal | null, action: Action, object?: ActionObject): void => {
  const decision = authorize(principal, action, object);
  if (decision.kind === 'refused')
    throw new CodedError(decision.code, decision.message === undefined ? {} : { message: decision.message });
};

/** The same words whatever was wrong, until it was too often. */
const refusal = (waitSeconds: number | null): CodedError =>
  waitSeconds === null
    ? new CodedError('invalid_api_key')
    : new CodedError('rate_limit_exceeded', {
        message: 'Too many requests without a valid key. Wait as long as Retry-After says.',
        retryAfterSeconds: waitSeconds,
      });

/** The last line: a route that was mounted without a guard answers nobody. */
export const refuseUnguarded: MiddlewareHandler = async (c, next) => {
  const routes = matchedRoutes(c).filter(({ method }) => method !== 'ALL');
  if (routes.length > 0 && !routes.some(({ handler }) => guarded.has(handler)))
    throw new CodedError('internal_error', { cause: new Error(`the route ${c.req.path} has no guard`) });
  await next();
};

export const identifyClient =
  (trusted: BlockList): MiddlewareHandler =>
  async (c: AccessContext, next) => {
    const { socket, headers } = c.env.incoming;
    const client = clientAddress(
      {
        peer: socket.remoteAddress,
        isEncrypted: 'encrypted' in socket && socket.encrypted === true,
        forwardedFor: single(headers['x-forwarded-for']),
        forwardedProto: single(headers['x-forwarded-proto']),
      },
      trusted,
    );
    c.set('client', client);
    c.set('session', null);
    c.set('cookieName', cookieName(client, headers.host));
    c.set('ownOrigin', `${client.transport === 'tls' ? 'https' : 'http'}://${headers.host ?? ''}`);
    await next();
  };

const single = (value: string | string[] | undefined): string | undefined => (Array.isArray(value) ? value.join(',') : value);

/** Nothing of ours is to be framed, sniffed, cached by a proxy or kept by a browser. What is the same for everybody says so itself. */
export const strictHeaders: MiddlewareHandler = async (c: AccessContext, next) => {
  for (const [name, value] of STRICT_HEADERS) c.env.outgoing.setHeader(name, value);
  await next();
};

const STRICT_HEADERS = [
  ['x-content-type-options', 'nosniff'],
  ['x-frame-options', 'DENY'],
  ['referrer-policy', 'no-referrer'],
  ['cross-origin-resource-policy', 'same-origin'],
  ['content-security-policy', "default-src 'none'; frame-ancestors 'none'"],
  ['cache-control', 'no-store'],
] as const;
