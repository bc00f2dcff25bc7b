import type { Hono, MiddlewareHandler } from 'hono';
import type { Administration } from '../../access/administration.ts';
import type { Actor } from '../../access/audit.ts';
import type { Action } from '../../access/authorize.ts';
import { type Asked, actorIn, mountOperations } from './operations.ts';

const AUDIT_PAGE = 100;

export interface AdminRouteOptions {
  readonly may: (action: Action) => MiddlewareHandler;
  /** In the name of whoever asks. */
  readonly as: (actor: Actor) => Administration;
}

/** The fleet's lasting truth: one line per thing an operator can do to it. */
// biome-ignore lint/suspicious/noExplicitAny: Hono's environment is invariant, and which one the app has does not matter here
export const mountAdminRoutes = (app: Hono<any>, { may, as }: AdminRouteOptions): void => {
  const by = ({ c }: Pick<Asked<never>, 'c'>): Administration => as(actorIn(c));

  mountOperations(app, may, {
    'GET /api/v1/keys': (asked) => by(asked).listKeys(),
    'POST /api/v1/keys': (asked) => by(asked).createKey(asked.body),
    'PATCH /api/v1/keys/{id}': (asked) => by(asked).changeKey(asked.path.id, asked.body),
    'POST /api/v1/keys/{id}/rotate': (asked) => by(asked).rotateKey(asked.path.id, asked.body),
    'DELETE /api/v1/keys/{id}': (asked) => by(asked).revokeKey(asked.path.id),

    'GET /api/v1/tokens': (asked) => by(asked).listTokens(),
    'POST /api/v1/tokens': (asked) => by(asked).createToken(asked.body),
    'DELETE /api/v1/tokens/{id}': (asked) => by(asked).revokeToken(asked.path.id),

    'GET /api/v1/nodes': (asked) => by(asked).listNodes(),
    'PATCH /api/v1/nodes/{id}': (asked) => by(asked).changeNode(asked.path.id, asked.body),
    'POST /api/v1/nodes/{id}/approve': (asked) => by(asked).approveNode(asked.path.id),
    'POST /api/v1/nodes/{id}/revoke': (asked) => by(asked).revokeNode(asked.path.id),
    'DELETE /api/v1/nodes/{id}': (asked) => by(asked).removeNode(asked.path.id),

    'GET /api/v1/users': (asked) => by(asked).listUsers(),
    'POST /api/v1/users': (asked) => by(asked).createUser(asked.body),
    'PATCH /api/v1/users/{id}': (asked) => by(asked).changeUser(asked.path.id, asked.body),
    'DELETE /api/v1/users/{id}': (asked) => by(asked).removeUser(asked.path.id),

    'GET /api/v1/audit': (asked) => by(asked).listAudit({ ...asked.query, limit: asked.query.limit ?? AUDIT_PAGE }),
    'GET /api/v1/audit/verify': (asked) => by(asked).verifyAudit(asked.query.expected),
  });
};
