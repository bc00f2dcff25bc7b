import type { IncomingMessage } from 'node:http';
import { KeyChange, KeyRotation, NewKey, NewToken, NewUser, NodeChange, UserChange } from '@lai/shared/admin-api';
import { CodedError } from '@lai/shared/errors';
import type { Context, Hono, MiddlewareHandler } from 'hono';
import type { z } from 'zod';
import type { Administration } from '../../access/administration.ts';
import type { Actor } from '../../access/audit.ts';
import type { Action } from '../../access/authorize.ts';
import { readJsonBody } from '../openai/body.ts';
import { actorOf } from '../openai/serve.ts';

const MAX_BODY_BYTES = 64 * 1024;
const MAX_AUDIT_PAGE = 1_000;

export interface AdminRouteOptions {
  readonly may: (action: Action) => MiddlewareHandler;
  /** In the name of whoever asks. */
  readonly as: (actor: Actor) => Administration;
}

/** The management API: one line per thing an operator can do. */
// biome-ignore lint/suspicious/noExplicitAny: Hono's environment is invariant, and which one the app has does not matter here
export const mountAdminRoutes = (app: Hono<any>, { may, as }: AdminRouteOptions): void => {
  const acting = (c: Context): Administration => as(actorOf({ principal: c.get('principal'), address: c.get('client').address }));
  const body = async <T>(c: Context, schema: z.ZodType<T>): Promise<T> =>
    (await readJsonBody(c.env.incoming as IncomingMessage, schema, { maxTextBytes: MAX_BODY_BYTES })).value;
  const id = (c: Context): string => c.req.param('id') ?? '';

  app.get('/api/v1/keys', may('key.read'), async (c) => c.json(await acting(c).listKeys()));
  app.post('/api/v1/keys', may('key.write'), async (c) => c.json(await acting(c).createKey(await body(c, NewKey)), 201));
  app.patch('/api/v1/keys/:id', may('key.write'), async (c) =>
    c.json(await acting(c).changeKey(id(c), await body(c, KeyChange))),
  );
  app.post('/api/v1/keys/:id/rotate', may('key.write'), async (c) =>
    c.json(await acting(c).rotateKey(id(c), await body(c, KeyRotation))),
  );
  app.delete('/api/v1/keys/:id', may('key.write'), async (c) => c.json(await acting(c).revokeKey(id(c))));

  app.get('/api/v1/tokens', may('token.read'), async (c) => c.json(await acting(c).listTokens()));
  app.post('/api/v1/tokens', may('token.write'), async (c) => c.json(await acting(c).createToken(await body(c, NewToken)), 201));
  app.delete('/api/v1/tokens/:id', may('token.write'), async (c) => c.json(await acting(c).revokeToken(id(c))));

  app.get('/api/v1/nodes', may('node.read'), async (c) => c.json(await acting(c).listNodes()));
  app.patch('/api/v1/nodes/:id', may('node.write'), async (c) =>
    c.json(await acting(c).changeNode(id(c), await body(c, NodeChange))),
  );
  app.post('/api/v1/nodes/:id/approve', may('node.write'), async (c) => c.json(await acting(c).approveNode(id(c))));
  app.post('/api/v1/nodes/:id/revoke', may('node.write'), async (c) => c.json(await acting(c).revokeNode(id(c))));
  app.delete('/api/v1/nodes/:id', may('node.write'), async (c) => c.json(await acting(c).removeNode(id(c))));

  app.get('/api/v1/users', may('user.read'), async (c) => c.json(await acting(c).listUsers()));
  app.post('/api/v1/users', may('user.write'), async (c) => c.json(await acting(c).createUser(await body(c, NewUser)), 201));
  app.patch('/api/v1/users/:id', may('user.write'), async (c) =>
    c.json(await acting(c).changeUser(id(c), await body(c, UserChange))),
  );
  app.delete('/api/v1/users/:id', may('user.write'), async (c) => c.json(await acting(c).removeUser(id(c))));

  app.get('/api/v1/audit', may('audit.read'), async (c) =>
    c.json(
      await acting(c).listAudit({
        limit: wholeNumber(c, 'limit', MAX_AUDIT_PAGE) ?? 100,
        before: wholeNumber(c, 'before', Number.MAX_SAFE_INTEGER),
      }),
    ),
  );
  app.get('/api/v1/audit/verify', may('audit.read'), async (c) =>
    c.json(await acting(c).verifyAudit(c.req.query('expected')?.slice(0, 64))),
  );
};

const wholeNumber = (c: Context, name: string, max: number): number | undefined => {
  const text = c.req.query(name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^\d{1,15}$/.test(text) || value < 1 || value > max)
    throw new CodedError('invalid_value', { message: `${name}: expected a whole number from 1 to ${max}`, param: name });
  return value;
};
