import type { HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { CodedError } from '@lai/shared/errors';
import { type Context, Hono } from 'hono';
import type { Logger } from 'pino';
import { type ApiKeys, keyFromHeader, type Principal, type Scope } from './access/api-keys.ts';
import { fleetStatus } from './api/admin/status.ts';
import { enroll } from './api/enroll.ts';
import { type ChatOptions, chatCompletions } from './api/openai/chat-completions.ts';
import { asCodedError, errorResponse } from './api/openai/error-envelope.ts';
import { findModel, listModels } from './api/openai/models.ts';
import { newRequestId } from './api/openai/request-options.ts';
import type { Matching } from './dispatch/matching.ts';
import type { Registry } from './nodes/registry.ts';
import type { Database } from './store/database.ts';

interface Env {
  Bindings: HttpBindings;
  Variables: { requestId: string; principal: Principal };
}

export interface AppOptions extends ChatOptions {
  readonly db: Database;
  readonly apiKeys: ApiKeys;
  readonly coordinatorKey: string;
  readonly registry: Registry;
  readonly matching: Matching;
  readonly isRedisUp: () => boolean;
  readonly isDraining: () => boolean;
  readonly log: Logger;
}

/** The door: a table of routes. Everything needs a key unless it stands in the first block. */
export const createApp = (options: AppOptions): Hono<Env> => {
  const { registry, log } = options;
  const app = new Hono<Env>();
  const need = (scope: Scope) => authenticated(options.apiKeys, scope);

  app.use(async (c, next) => {
    c.set('requestId', newRequestId());
    await next();
  });
  app.onError((thrown, c) => sendError(c, thrown, log));
  app.notFound((c) =>
    sendError(c, new CodedError('route_not_found', { message: `There is no route ${c.req.method} ${c.req.path}.` }), log),
  );

  app.get('/', (c) => c.text('Lai coordinator. The OpenAI-compatible endpoint is at /v1.\n'));
  app.get('/livez', (c) => c.text('ok\n'));
  app.get('/readyz', (c) =>
    options.isDraining() ? c.text('draining\n', 503) : options.isRedisUp() ? c.text('ok\n') : c.text('redis is away\n', 503),
  );
  app.post('/api/v1/enroll', async (c) => c.json(await enroll(c.env.incoming, options)));

  app.post('/v1/chat/completions', need('inference'), async (c) => {
    if (options.isDraining()) throw new CodedError('shutting_down', { retryAfterSeconds: 2 });
    const { incoming: request, outgoing: response } = c.env;
    await chatCompletions({ request, response, principal: c.var.principal, requestId: c.var.requestId }, options);
    return RESPONSE_ALREADY_SENT;
  });
  app.get('/v1/models', need('inference'), (c) => c.json(listModels(registry.list())));
  app.get('/v1/models/:id{.+}', need('inference'), (c) => {
    const id = c.req.param('id') ?? '';
    const entry = findModel(registry.list(), id);
    if (!entry) throw new CodedError('model_not_found', { message: unknownModel(id, registry), param: 'model' });
    return c.json(entry);
  });

  app.get('/api/v1/status', need('admin'), (c) => c.json(fleetStatus(options)));
  return app;
};

const authenticated = (apiKeys: ApiKeys, scope: Scope) => async (c: Context<Env>, next: () => Promise<void>) => {
  const key = keyFromHeader(c.req.header('authorization') ?? c.req.header('x-api-key'));
  const principal = key && (await apiKeys.authenticate(key, Date.now()));
  if (!principal) throw new CodedError('invalid_api_key');
  if (!principal.scopes.includes(scope))
    throw new CodedError('permission_denied', { message: `This key lacks the scope "${scope}".` });
  c.set('principal', principal);
  await next();
};

const sendError = (c: Context<Env>, thrown: unknown, log: Logger): Response => {
  const error = asCodedError(thrown);
  const requestId = c.var.requestId;
  if (error.code === 'internal_error') log.error({ err: error.cause, requestId, path: c.req.path }, 'request failed inside Lai');
  const { status, headers, body } = errorResponse(error);
  // A body that was not read to its end would be taken for the next request.
  const closing: Record<string, string> = c.env.incoming.complete ? {} : { connection: 'close' };
  return new Response(JSON.stringify(body), {
    status,
    headers: {
      'content-type': 'application/json',
      'x-request-id': requestId,
      'x-lai-request-id': requestId,
      ...headers,
      ...closing,
    },
  });
};

const unknownModel = (id: string, registry: Registry): string => {
  const known = listModels(registry.list()).data.map((entry) => entry.id);
  return `No node has a model "${id}". ${known.length > 0 ? `There is: ${known.slice(0, 10).join(', ')}.` : 'No node is connected.'}`;
};
