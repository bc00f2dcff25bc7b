import type { BlockList } from 'node:net';
import type { HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { LearnedSpeeds } from '@lai/shared/admin-api';
import { CodedError } from '@lai/shared/errors';
import { type Context, Hono } from 'hono';
import { getPath } from 'hono/utils/url';
import type { Logger } from 'pino';
import type { Administration } from './access/administration.ts';
import type { ApiKeys, Principal } from './access/api-keys.ts';
import type { Actor } from './access/audit.ts';
import { mayUse } from './access/authorize.ts';
import { splitKeyPath } from './access/credentials.ts';
import type { FailureLimits } from './access/failure-limits.ts';
import { type AccessVariables, guards, identifyClient, refuseUnguarded, strictHeaders } from './access/middleware.ts';
import type { Revocation } from './access/revocations.ts';
import type { Sessions } from './access/sessions.ts';
import type { SignInContext } from './access/sign-in.ts';
import { type Explanations, readExplanation } from './api/admin/explanation.ts';
import { mountFleetRoutes } from './api/admin/fleet-routes.ts';
import { commandNode } from './api/admin/node-commands.ts';
import { actorIn, mountOperations } from './api/admin/operations.ts';
import { mountAdminRoutes } from './api/admin/routes.ts';
import { mountRoutingRoutes, type RoutingRouteOptions } from './api/admin/routing-routes.ts';
import { mountSignInRoutes } from './api/admin/sign-in-routes.ts';
import { fleetStatus } from './api/admin/status.ts';
import { mountUpdateRoutes } from './api/admin/update-routes.ts';
import { anthropicError } from './api/anthropic/error-envelope.ts';
import { countTokens, messages } from './api/anthropic/messages.ts';
import { anthropicModel, anthropicModels } from './api/anthropic/models.ts';
import { mountDashboard } from './api/dashboard/routes.ts';
import { enroll } from './api/enroll.ts';
import { describeJob, type JobsDoor, submitJob } from './api/jobs.ts';
import { deleteModel, notHere, pullModel, showModel } from './api/ollama/catalog.ts';
import { isOllamaPath, ollamaError } from './api/ollama/error-envelope.ts';
import * as ollama from './api/ollama/inference.ts';
import { OLLAMA_VERSION, running, tags } from './api/ollama/models.ts';
import { audioTranscriptions } from './api/openai/audio-transcriptions.ts';
import { chatCompletions } from './api/openai/chat-completions.ts';
import { completions } from './api/openai/completions.ts';
import { embeddings } from './api/openai/embeddings.ts';
import { asCodedError, errorResponse } from './api/openai/error-envelope.ts';
import { jsonOf } from './api/openai/foreign-json.ts';
import { findModel, listModels, providerModels } from './api/openai/models.ts';
import { newRequestId } from './api/openai/request-options.ts';
import { rerank } from './api/openai/rerank.ts';
import { responses } from './api/openai/responses.ts';
import type { Call, Door } from './api/openai/serve.ts';
import { mountDocs } from './api/openapi/mount.ts';
import { mountReleaseFiles } from './api/release-files.ts';
import { systemClock } from './dispatch/clock.ts';
import type { Figures } from './dispatch/figures.ts';
import { countBodyIn, type HeldMemory, holdingOf } from './dispatch/held-memory.ts';
import type { Matching } from './dispatch/matching.ts';
import type { Feed } from './feed/feed.ts';
import type { Lan } from './lan/lan.ts';
import type { CommandLog } from './nodes/command-log.ts';
import type { NodeRecord, Registry } from './nodes/registry.ts';
import type { ReleaseMaker } from './releases/release-maker.ts';
import type { Releases } from './releases/releases.ts';
import type { Rollouts } from './releases/rollouts.ts';
import type { Database } from './store/database.ts';

interface Env {
  Bindings: HttpBindings;
  Variables: { requestId: string } & AccessVariables;
}

export interface AppOptions extends Door, JobsDoor, Pick<RoutingRouteOptions, 'providers' | 'configuration'> {
  readonly db: Database;
  readonly apiKeys: ApiKeys;
  readonly failures: FailureLimits;
  readonly sessions: Sessions;
  readonly signIns: SignInContext;
  readonly announce: (news: Revocation) => void;
  /** Reverse proxies whose `X-Forwarded-*` counts. */
  readonly proxies: BlockList;
  readonly administration: (actor: Actor) => Administration;
  readonly coordinatorKey: string;
  readonly registry: Registry;
  readonly matching: Matching;
  readonly explanations: Explanations;
  readonly speedsOf: (nodeId: string, model: string) => LearnedSpeeds;
  readonly feed: Feed;
  readonly commands: CommandLog;
  readonly figuresOf: Figures['of'];
  readonly releases: Releases;
  readonly rollouts: Rollouts;
  readonly maker: ReleaseMaker;
  /** Base URL where machines reach us, when it was configured. */
  readonly publicUrl: string | undefined;
  /** The listener on the local network, when there is one. */
  readonly lan: Lan | null;
  /** Where other machines reach us, as far as we know; null: we listen on this machine alone. */
  readonly reachableUrl: () => string | null;
  readonly isRedisUp: () => boolean;
  readonly isDraining: () => boolean;
  readonly held: HeldMemory;
  readonly log: Logger;
}

/** The door: a table of routes. Each says by `may` what it lets do; access/authorize.ts says who may. */
export const createApp = (options: AppOptions): Hono<Env> => {
  const { registry, log } = options;
  const app = new Hono<Env>({ getPath: (request) => splitKeyPath(getPath(request)).path });
  const may = guards(options);
  const inference = may('inference.run');
  /** Of every node, what this principal may know of. */
  const visible = ({ models }: Principal): NodeRecord[] =>
    registry.list().map((record) => ({
      ...record,
      snapshot: { ...record.snapshot, models: record.snapshot.models.filter(({ id }) => mayUse({ models }, id)) },
    }));
  const remoteModels = (principal: Principal) =>
    providerModels(options.routing.world().providers, (model) => mayUse(principal, model));
  /** A route that writes its answer itself. */
  const answered = (surface: (call: Call, door: Door) => Promise<void>) => async (c: Context<Env>) => {
    if (options.isDraining()) throw new CodedError('shutting_down', { retryAfterSeconds: 2 });
    const { incoming: request, outgoing: response } = c.env;
    const { principal, requestId, revoked, client } = c.var;
    holdingOf(request)?.belongTo(principal.keyId);
    const call = { request, response, principal, address: client.address, revoked, requestId, receivedAtMs: systemClock.nowMs() };
    await surface(call, options);
    return RESPONSE_ALREADY_SENT;
  };

  app.use(async (c, next) => {
    c.set('requestId', newRequestId());
    await next();
  });
  app.use(identifyClient(options.proxies), strictHeaders, refuseUnguarded);
  // What a body takes is counted while it is read and until its answer is over; by address, before a key is shown.
  app.use(async (c, next) => {
    const { incoming, outgoing } = c.env ?? {};
    if (incoming && outgoing) {
      const holding = options.held.hold(c.var.client.address);
      countBodyIn(incoming, holding);
      outgoing.once('close', () => holding.release());
    }
    await next();
  });
  app.onError((thrown, c) => sendError(c, thrown, log));
  app.notFound((c) =>
    sendError(c, new CodedError('route_not_found', { message: `There is no route ${c.req.method} ${c.req.path}.` }), log),
  );

  // Programs that look for an Ollama look for these words.
  app.get('/', may('door.greet'), (c) =>
    c.req.header('sec-fetch-dest') === 'document'
      ? c.redirect('/ui/')
      : c.text('Ollama is running, and so is Lai: /docs says what else is served here.\n'),
  );
  app.get('/api/version', may('door.greet'), (c) => c.json({ version: OLLAMA_VERSION }));
  app.get('/api/hello', may('door.greet'), (c) => c.body(null, 204));
  app.get('/livez', may('health.read'), (c) => c.text('ok\n'));
  app.get('/readyz', may('health.read'), (c) =>
    options.isDraining() ? c.text('draining\n', 503) : options.isRedisUp() ? c.text('ok\n') : c.text('redis is away\n', 503),
  );

  app.post('/v1/chat/completions', inference, answered(chatCompletions));
  app.post('/v1/responses', inference, answered(responses()));
  app.post('/v1/completions', inference, answered(completions));
  app.post('/v1/embeddings', inference, answered(embeddings));
  app.post('/v1/rerank', inference, answered(rerank));
  app.post('/v1/audio/transcriptions', inference, answered(audioTranscriptions));
  app.get('/v1/models', may('model.list'), (c) => {
    const list = listModels(visible(c.var.principal));
    const remote = remoteModels(c.var.principal);
    const wanted = c.req.query('provider');
    const data = [...list.data, ...remote].filter(({ provider }) => wanted === undefined || provider === wanted);
    return c.json(speaksAnthropic(c) ? anthropicModels(data) : { ...list, data });
  });
  app.get('/v1/models/:id{.+}', may('model.list'), (c) => {
    const id = c.req.param('id') ?? '';
    const entry = findModel(visible(c.var.principal), id) ?? remoteModels(c.var.principal).find((model) => model.id === id);
    if (!entry) throw new CodedError('model_not_found', { message: unknownModel(id, visible(c.var.principal)), param: 'model' });
    return c.json(speaksAnthropic(c) ? anthropicModel(entry) : entry);
  });

  app.post('/v1/jobs', inference, async (c) => {
    holdingOf(c.env.incoming)?.belongTo(c.var.principal.keyId);
    return c.json(await submitJob(c.env.incoming, c.var.principal, options), 202);
  });
  app.get('/v1/jobs/:id', inference, async (c) =>
    jobJson(c, describeJob(await options.jobs.read(c.req.param('id'), jobOwnerOf(c.var.principal)))),
  );
  app.post('/v1/jobs/:id/cancel', inference, async (c) =>
    jobJson(c, describeJob(await options.jobs.cancel(c.req.param('id'), jobOwnerOf(c.var.principal)))),
  );

  app.post('/v1/messages', inference, answered(messages));
  app.post('/v1/messages/count_tokens', inference, answered(countTokens));

  app.post('/api/chat', inference, answered(ollama.chat));
  app.post('/api/generate', inference, answered(ollama.generate));
  app.post('/api/embed', inference, answered(ollama.embed));
  app.post('/api/embeddings', inference, answered(ollama.embeddings));
  app.get('/api/tags', may('model.list'), (c) => c.json(tags(visible(c.var.principal))));
  app.get('/api/ps', may('model.list'), (c) => c.json(running(visible(c.var.principal), Date.now())));
  app.post('/api/show', inference, answered(showModel));
  app.post('/api/pull', inference, answered(pullModel));
  app.delete('/api/delete', inference, answered(deleteModel));
  for (const operation of ['copy', 'create', 'push'] as const)
    app.post(`/api/${operation}`, inference, answered(notHere(operation)));
  app.post('/api/blobs/:digest', inference, answered(notHere('create')));

  mountOperations(app, may, {
    'POST /api/v1/enroll': ({ c, body }) => enroll({ request: body, address: c.get('client').address }, options),
    'GET /api/v1/requests/{id}/explanation': ({ c, path }) =>
      readExplanation(options.explanations, path.id, ownerOf(c.get('principal'))),
    'GET /api/v1/status': () => fleetStatus(options),
    'POST /api/v1/nodes/{id}/commands': ({ c, path, body }) =>
      answered((call, door) => commandNode(call, door, { nodeId: path.id, command: body }))(c),
    'DELETE /api/v1/nodes/{id}/commands/{command}': async ({ c, path }) => {
      await options.nodeCommands.cancel(actorIn(c), path.id, path.command.slice(0, 64));
    },
  });
  mountAdminRoutes(app, { may, as: options.administration });
  mountFleetRoutes(app, { ...options, may });
  mountRoutingRoutes(app, { ...options, ...options.routing, may });
  mountSignInRoutes(app, { ...options, may });
  mountUpdateRoutes(app, { ...options, may, as: options.administration });
  mountReleaseFiles(app, { ...options, may });
  mountDocs(app, may);
  mountDashboard(app, may);
  return app;
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

/** A job's result goes out as its engine wrote it. */
const jobJson = (c: Context<Env>, job: unknown): Response => c.body(jsonOf(job), 200, { 'content-type': 'application/json' });

/** Whose jobs a principal may read and cancel: results are prompts' answers, so a key that only looks at the fleet sees none but its own. */
const jobOwnerOf = ({ keyId, scopes }: Principal): string | null => (scopes.includes('admin') ? null : keyId);

/** Whose explanations a principal may see: an operator, and who may look at the fleet, sees everybody's. They hold no prompts. */
const ownerOf = ({ keyId, scopes }: Principal): string | null =>
  scopes.includes('admin') || scopes.includes('read') ? null : keyId;

const speaksAnthropic = (c: Context<Env>): boolean => c.req.header('anthropic-version') !== undefined;

/** Every API has its own shape of error. */
const envelopeFor = (c: Context<Env>) => {
  if (c.req.path.startsWith('/v1/messages') || speaksAnthropic(c)) return anthropicError;
  return isOllamaPath(c.req.path) ? ollamaError : errorResponse;
};

const unknownModel = (id: string, nodes: readonly NodeRecord[]): string => {
  const known = listModels(nodes).data.map((entry) => entry.id);
  return `No node has a model "${id}". ${known.length > 0 ? `There is: ${known.slice(0, 10).join(', ')}.` : 'No node is connected.'}`;
};
