import { CodedError } from '@lai/shared/errors';
import type { Context, Hono, MiddlewareHandler } from 'hono';
import type { Action } from '../../access/authorize.ts';
import { originHeaders } from '../../access/middleware.ts';
import type { Principal } from '../../access/principal.ts';
import type { Revocation } from '../../access/revocations.ts';
import { isCrossSite } from '../../access/same-origin.ts';
import { sessionCookie } from '../../access/session-cookie.ts';
import type { Lasting, Session } from '../../access/sessions.ts';
import { changePassword, finishSetup, type SignInContext, signIn, userView, type Visit } from '../../access/sign-in.ts';
import { mountOperations } from './operations.ts';
import { SIGN_IN_PAGE, SIGN_IN_SCRIPT, SIGN_IN_STYLE } from './sign-in-page.ts';

/** The page runs its own script, asks us and nobody else, and makes no markup of anything. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; " +
  "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

export interface SignInRouteOptions {
  readonly may: (action: Action) => MiddlewareHandler;
  readonly signIns: SignInContext;
  /** Every replica looks at its sessions again. */
  readonly announce: (news: Revocation) => void;
}

/** Signing in and out, for people with a browser. */
// biome-ignore lint/suspicious/noExplicitAny: Hono's environment is invariant, and which one the app has does not matter here
export const mountSignInRoutes = (app: Hono<any>, { may, signIns, announce }: SignInRouteOptions): void => {
  const principal = (c: Context): Principal => c.get('principal');
  const session = (c: Context): Session | null => c.get('session');
  const cookieName = (c: Context): string | null => c.get('cookieName');
  const visit = (c: Context): Visit => ({
    address: c.get('client').address,
    browser: c.req.header('user-agent') ?? '',
    nowMs: Date.now(),
  });
  const mine = (c: Context): Session => {
    const own = session(c);
    if (!own) throw new CodedError('permission_denied', { message: 'This is for people who have signed in, not for keys.' });
    return own;
  };
  /** Sets the cookie, or says why nobody can sign in here. `open` makes the session only when it can be kept. */
  const opened = async (c: Context, open: () => Promise<string>, lasting: Lasting = 'idles') => {
    // A form of another site can send text, but no JSON.
    if (c.req.header('content-type') === undefined) throw new CodedError('unsupported_media_type');
    if (isCrossSite(originHeaders(c), c.get('ownOrigin'))) throw new CodedError('cross_site_refused');
    const name = cookieName(c);
    if (name === null)
      throw new CodedError('permission_denied', {
        message:
          'Signing in over a network needs TLS: set LAI_TLS_CERT and LAI_TLS_KEY, or name your reverse proxy in LAI_TRUSTED_PROXIES.',
      });
    return c.body(null, 204, { 'set-cookie': sessionCookie(name, await open(), lasting) });
  };
  const ended = (c: Context, userId: string, headers: Record<string, string> = {}) => {
    announce({ kind: 'session', id: userId });
    return c.body(null, 204, headers);
  };

  const page = (path: string, type: string, text: string) =>
    app.get(path, may('door.greet'), (c) =>
      c.body(text, 200, { 'content-type': `${type}; charset=utf-8`, 'content-security-policy': POLICY }),
    );
  page('/setup', 'text/html', SIGN_IN_PAGE);
  page('/sign-in', 'text/html', SIGN_IN_PAGE);
  page('/sign-in/page.js', 'text/javascript', SIGN_IN_SCRIPT);
  page('/sign-in/style.css', 'text/css', SIGN_IN_STYLE);

  mountOperations(app, may, {
    'POST /api/v1/setup': ({ c, body }) => opened(c, () => finishSetup(body, visit(c), signIns)),
    'POST /api/v1/session': ({ c, body }) => opened(c, () => signIn(body, visit(c), signIns), body.stay ? 'stays' : 'idles'),
    'GET /api/v1/session': ({ c }) => {
      const { name, scopes } = principal(c);
      const user = session(c)?.user;
      return { name, scopes: [...scopes], user: user ? userView(user) : null };
    },
    'DELETE /api/v1/session': async ({ c }) => {
      const { user, id } = mine(c);
      await signIns.sessions.end(user.id, id);
      return ended(c, user.id, { 'set-cookie': sessionCookie(cookieName(c) ?? '', null) });
    },
    'POST /api/v1/session/password': ({ c, body }) => {
      const { user } = mine(c);
      return opened(c, async () => {
        const secret = await changePassword(user, body, visit(c), signIns);
        announce({ kind: 'session', id: user.id });
        return secret;
      });
    },
    'GET /api/v1/sessions': ({ c }) => {
      const { user, digest } = mine(c);
      return signIns.sessions.list(user.id, digest, Date.now());
    },
    'DELETE /api/v1/sessions/{id}': async ({ c, path }) => {
      const { user } = mine(c);
      if ((await signIns.sessions.end(user.id, path.id)) === 0) throw new CodedError('entry_not_found');
      return ended(c, user.id);
    },
  });
};
