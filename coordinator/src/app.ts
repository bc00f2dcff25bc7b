import type { HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { CodedError } from '@lai/shared/errors';
import { type Context, Hono } from 'hono';
import { getPath } from 'hono/utils/url';
import type { Logger } from 'pino';
import { type ApiKeys, keyFromHeader, type Principal, type Scope } from './access/api-keys.ts';
import { fleetStatus } from './api/admin/status.ts';
import { anthropicError } from './api/anthropic/error-envelope.ts';
import { countTokens, messages } from './api/anthropic/messages.ts';
import { anthropicModel, anthropicModels } from './api/anthropic/models.ts';
import { enroll } from './api/enroll.ts';
import { deleteModel, pullModel, showModel } from './api/ollama/catalog.ts';
import { isOllamaPath, ollamaError } from './api/ollama/error-envelope.ts';
import * as ollama from './api/ollama/inference.ts';
import { splitKeyPath } from './api/ollama/key-path.ts';
import { OLLAMA_VERSION, running, tags } from './api/ollama/models.ts';
import { audioTranscriptions } from './api/openai/audio-transcriptions.ts';
import { chatCompletions } from './api/openai/chat-completions.ts';
import { completions } from './api/openai/completions.ts';
import { embeddings } from './api/openai/embeddings.ts';
import { asCodedError, errorResponse } from './api/openai/error-envelope.ts';
import { findModel, listModels } from './api/openai/models.ts';
import { newRequestId } from './api/openai/request-options.ts';
import { rerank } from './api/openai/rerank.ts';
import { responses } from './api/openai/responses.ts';
import type { Call, Door } from './api/openai/serve.ts';
import type { Matching } from './dispatch/matching.ts';
import type { Registry } from './nodes/registry.ts';
import type { Database } from './store/database.ts';

interface Env {
  Bindings: HttpBindings;
  Variables: { requestId: string; principal: Principal };
}

export interface AppOptions extends Door {
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
  const app = new Hono<Env>({ getPath: (request) => splitKeyPath(getPath(request)).path });
  const need = (scope: Scope) => authenticated(options.apiKeys, scope);
  const inference = need('inference');
  /** A route that writes its answer itself. */
  const answered = (surface: (call: Call, door: Door) => Promise<void>) => async (c: Context<Env>) => {
    if (options.isDraining()) throw new CodedError('shutting_down', { retryAfterSeconds: 2 });
    const { incoming: request, outgoing: response } = c.env;
    const { principal, requestId } = c.var;
    await surface({ request, response, principal, requestId, receivedAtMs: Date.now() }, options);
    return RESPONSE_ALREADY_SENT;
  };

  app.use(async (c, next) => {
    c.set('requestId', newRequestId());
    await next();
  });
  app.onError((thrown, c) => sendError(c, thrown, log));
  app.notFound((c) =>
    sendError(c, new CodedError('route_not_found', { message: `There is no route ${c.req.method} ${c.req.path}.` }), log),
  );

  // Programs that look for an Ollama look for these words.
  app.get('/', (c) => c.text('Ollama is running, and so is Lai: /docs says what else is served here.\n'));
  app.get('/api/version', (c) => c.json({ version: OLLAMA_VERSION }));
  app.get('/api/hello', (c) => c.body(null, 204));
  app.get('/livez', (c) => c.text('ok\n'));
  app.get('/readyz', (c) =>
    options.isDraining() ? c.text('draining\n', 503) : options.isRedisUp() ? c.text('ok\n') : c.text('redis is away\n', 503),
  );
  app.post('/api/v1/enroll', async (c) => c.json(await enroll(c.env.incoming, options)));

  app.post('/v1/chat/completions', inference, answered(chatCompletions));
  app.post('/v1/responses', inference, answered(responses()));
  app.post('/v1/completions', inference, answered(completions));
  app.post('/v1/embeddings', inference, answered(embeddings));
  app.post('/v1/rerank', inference, answered(rerank));
  app.post('/v1/audio/transcriptions', inference, answered(audioTranscriptions));
  app.get('/v1/models', inference, (c) => {
    const list = listModels(registry.list());
    return c.json(speaksAnthropic(c) ? anthropicModels(list.data) : list);
  });
  app.get('/v1/models/:id{.+}', inference, (c) => {
    const id = c.req.param('id') ?? '';
    const entry = findModel(registry.list(), id);
    if (!entry) throw new CodedError('model_not_found', { message: unknownModel(id, registry), param: 'model' });
    return c.json(speaksAnthropic(c) ? anthropicModel(entry) : entry);
  });

  app.post('/v1/messages', inference, answered(messages));
  app.post('/v1/messages/count_tokens', inference, answered(countTokens));

  app.post('/api/chat', inference, answered(ollama.chat));
  app.post('/api/generate', inference, answered(ollama.generate));
  app.post('/api/embed', inference, answered(ollama.embed));
  app.post('/api/embeddings', inference, answered(ollama.embeddings));
  app.get('/api/tags', inference, (c) => c.json(tags(registry.list())));
  app.get('/api/ps', inference, (c) => c.json(running(registry.list(), Date.now())));
  app.post('/api/show', inference, answered(showModel));
  app.post('/api/pull', inference, answered(pullModel));
  app.delete('/api/delete', inference, answered(deleteModel));

  app.get('/api/v1/status', need('admin'), (c) => c.json(fleetStatus(options)));
  return app;
};

const authenticated = (apiKeys: ApiKeys, scope: Scope) => async (c: Context<Env>, next: () => Promise<void>) => {
  const { key: keyInPath } = splitKeyPath(getPath(c.req.raw));
  const key = keyFromHeader(c.req.header('authorization') ?? c.req.header('x-api-key') ?? keyInPath);
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
  const { status, headers, body } = envelopeFor(c)(error, requestId);
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

const speaksAnthropic = (c: Context<Env>): boolean => c.req.header('anthropic-version') !== undefined;

/** Every API has its own shape of error. */
const envelopeFor = (c: Context<Env>) => {
  if (c.req.path.startsWith('/v1/messages') || speaksAnthropic(c)) return anthropicError;
  return isOllamaPath(c.req.path) ? ollamaError : errorResponse;
};

const unknownModel = (id: string, registry: Registry): string => {
  const known = listModels(registry.list()).data.map((entry) => entry.id);
  return `No node has a model "${id}". ${known.length > 0 ? `There is: ${known.slice(0, 10).join(', ')}.` : 'No node is connected.'}`;
};
