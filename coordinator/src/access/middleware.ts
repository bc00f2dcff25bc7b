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
import type { Principal } from './principal.ts';

export interface AccessVariables {
  client: ClientAddress;
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
  (options: { apiKeys: ApiKeys; failures: FailureLimits; now?: () => number }) =>
  (action: Action): MiddlewareHandler => {
    const guard = async (c: AccessContext, next: () => Promise<void>): Promise<void> => {
      if (authorize(null, action).kind === 'allowed') {
        c.set('revoked', NEVER);
        return next();
      }
      const nowMs = (options.now ?? Date.now)();
      const key = keyOf({
        authorization: c.req.header('authorization'),
        xApiKey: c.req.header('x-api-key'),
        inPath: splitKeyPath(getPath(c.req.raw)).key,
      });
      const principal = key && (await options.apiKeys.authenticate(key, nowMs));
      if (!key || !principal) throw refusal(options.failures.failed(c.var.client.address, nowMs));
      demand(principal, action);
      const use = options.apiKeys.use(key);
      c.env.outgoing.once('close', use.end);
      c.set('principal', principal);
      c.set('revoked', use.signal);
      return next();
    };
    guarded.set(guard, action);
    return guard as MiddlewareHandler;
  };

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
    c.set(
      'client',
      clientAddress(
        {
          peer: socket.remoteAddress,
          isEncrypted: 'encrypted' in socket && socket.encrypted === true,
          forwardedFor: single(headers['x-forwarded-for']),
          forwardedProto: single(headers['x-forwarded-proto']),
        },
        trusted,
      ),
    );
    await next();
  };

const single = (value: string | string[] | undefined): string | undefined => (Array.isArray(value) ? value.join(',') : value);

/** Nothing of ours is to be framed, sniffed, cached by a proxy or kept by a browser. A page of ours sets its own policy instead. */
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
] as const;
