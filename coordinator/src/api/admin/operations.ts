import type { IncomingMessage } from 'node:http';
import type { PathNames } from '@lai/shared/contract/address';
import {
  MANAGEMENT,
  type ManagementName,
  type ReadQueryOf,
  type ReadRequestOf,
  type ResponseOf,
} from '@lai/shared/contract/management';
import type { Operation } from '@lai/shared/contract/operation';
import { CodedError } from '@lai/shared/errors';
import type { Context, Hono, MiddlewareHandler } from 'hono';
import type { Actor } from '../../access/audit.ts';
import { type Action, authorize } from '../../access/authorize.ts';
import { readJsonBody } from '../openai/body.ts';
import { actorOf } from '../openai/serve.ts';

const MAX_BODY_BYTES = 64 * 1024;
/** From somebody who has shown no key. */
const MAX_STRANGERS_BODY_BYTES = 4_096;

/** One request for an operation, read as the contract says. */
export interface Asked<Name extends ManagementName> {
  readonly c: Context;
  readonly path: Readonly<Record<PathNames<Name>, string>>;
  readonly query: ReadQueryOf<Name>;
  readonly body: ReadRequestOf<Name>;
}

/** What the contract says, or a response that a handler made itself. */
type Answer<Name extends ManagementName> = Response | ResponseOf<Name>;

export type Handlers<Name extends ManagementName> = {
  readonly [Key in Name]: (asked: Asked<Key>) => Answer<Key> | Promise<Answer<Key>>;
};

/** In whose name an operation is done. */
export const actorIn = (c: Context): Actor => actorOf({ principal: c.get('principal'), address: c.get('client').address });

/** Routes for operations of the contract: guarded, read and answered as it says. */
export const mountOperations = <Name extends ManagementName>(
  // biome-ignore lint/suspicious/noExplicitAny: Hono's environment is invariant, and which one the app has does not matter here
  app: Hono<any>,
  may: (action: Action) => MiddlewareHandler,
  handlers: Handlers<Name>,
): void => {
  for (const [name, handle] of Object.entries(handlers) as [Name, (asked: Asked<ManagementName>) => unknown][]) {
    const operation: Operation & { action: Action } = MANAGEMENT[name];
    const [method = '', pattern = ''] = name.split(' ');
    const path = pattern.replaceAll(/\{(\w+)\}/g, ':$1');
    app.on(method, path, may(operation.action), async (c) => {
      const asked = { c, path: c.req.param(), query: queryOf(c, operation), body: await bodyOf(c, operation) };
      const answer = await handle(asked as Asked<ManagementName>);
      if (answer instanceof Response) return answer;
      return operation.response ? c.json(answer, operation.status ?? 200) : c.body(null, 204);
    });
  }
};

const queryOf = (c: Context, { query }: Operation): unknown => {
  const parsed = query?.safeParse(c.req.query());
  if (!parsed || parsed.success) return parsed?.data ?? {};
  const issue = parsed.error.issues[0];
  const param = issue?.path.join('.') ?? '';
  throw new CodedError('invalid_value', { message: `${param}: ${issue?.message}`, param });
};

const bodyOf = async (c: Context, { request, action }: Operation & { action: Action }): Promise<unknown> => {
  if (!request) return undefined;
  const isStranger = authorize(null, action).kind === 'allowed';
  const maxTextBytes = isStranger ? MAX_STRANGERS_BODY_BYTES : MAX_BODY_BYTES;
  return (await readJsonBody(c.env.incoming as IncomingMessage, request, { maxTextBytes, keepsNulls: true })).value;
};
