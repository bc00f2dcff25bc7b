import type { Wording } from './answer-writer.ts';
import type { Engine } from './engine.ts';
import type { Habits } from './habits.ts';
import type { HostedModel } from './hosted-model.ts';
import { type Dialect, serveAnswer, serveVectors } from './inference.ts';
import { can, isEmbeddingOnly } from './model-spec.ts';
import { findModel, findPresent, goTime, keepAliveOf, psPage, showPage, tagsPage, withTag } from './ollama-names.ts';
import { forgetDownload, pullModel } from './ollama-pull.ts';
import {
  type Door,
  ollamaChat,
  ollamaCompletion,
  ollamaError,
  ollamaJson,
  ollamaNative,
  ollamaRefusal,
} from './ollama-wording.ts';
import { embeddingInputs, type Fields, isFields, type Prompt, promptOfOllama, promptOfOpenAi } from './prompt.ts';
import { base64Of, countTokens, vectorOf } from './text.ts';
import { type Exchange, parseFields, readBody, sendReply } from './wire.ts';

/** Recorded from Ollama 0.32.15, or read in its scheduler (server/sched.go), unless marked as assumed. */
const HABITS: Habits = {
  slots: 1,
  loadsAtOnce: 1,
  abandonedLoad: 'abort',
  sharesLoadFailure: false,
  eviction: 'shortest-keep-alive',
  evictsForMemory: true,
  leavingTakesRequests: true,
  afterCrash: 'stale',
  whenExpired: 'unload',
  wakesOnRequest: true,
  preallocatedShare: null,
};

export const ollama = (): Dialect => ({
  habits: HABITS,
  tuning: { maxLoadedModels: 3, whenTooBig: 'partial' },
  headers: {},
  loadsBeforeListening: false,
  answer: (engine, exchange) => answer({ engine, exchange }),
});

interface Visit {
  readonly engine: Engine;
  readonly exchange: Exchange;
}

const ROUTES: Record<string, (visit: Visit) => Promise<void> | void> = {
  'GET /': ({ exchange }) => text(exchange, 200, 'Ollama is running', 'text/plain; charset=utf-8'),
  'HEAD /': ({ exchange }) => text(exchange, 200, '', 'text/plain; charset=utf-8'),
  'GET /api/version': ({ exchange }) => sendReply(exchange.res, ollamaJson('native', { version: '0.32.15-lai-mock' })),
  'GET /api/tags': ({ engine, exchange }) => sendReply(exchange.res, ollamaJson('native', tagsPage(engine))),
  'GET /api/ps': ({ engine, exchange }) => sendReply(exchange.res, ollamaJson('native', psPage(engine))),
  'POST /api/show': (visit) => show(visit),
  'POST /api/generate': (visit) => native(visit, 'generate'),
  'POST /api/chat': (visit) => native(visit, 'chat'),
  'POST /api/embed': (visit) => embedNative(visit, 'embed'),
  'POST /api/embeddings': (visit) => embedNative(visit, 'embeddings'),
  'POST /api/pull': (visit) => pull(visit),
  'DELETE /api/delete': (visit) => remove(visit),
  'POST /v1/chat/completions': (visit) => openAi(visit, 'chat'),
  'POST /v1/completions': (visit) => openAi(visit, 'completion'),
  'POST /v1/embeddings': (visit) => embedOpenAi(visit),
  'GET /v1/models': ({ engine, exchange }) =>
    sendReply(
      exchange.res,
      ollamaJson('openai', { object: 'list', data: engine.models.filter((m) => m.isPresent).map(entryOf) }),
    ),
};

const PATHS = new Set(Object.keys(ROUTES).map((route) => route.slice(route.indexOf(' ') + 1)));

const answer = (visit: Visit): Promise<void> | void => {
  const { method, path } = visit.exchange;
  const route = ROUTES[`${method} ${path}`];
  if (route) return route(visit);
  if (PATHS.has(path)) return text(visit.exchange, 405, '405 method not allowed');
  if (method === 'GET' && path.startsWith('/v1/models/')) return oneModel(visit, decodeURIComponent(path.slice(11)));
  return text(visit.exchange, 404, '404 page not found');
};

const text = (exchange: Exchange, status: number, body: string, contentType = 'text/plain'): void =>
  sendReply(exchange.res, { status, contentType, body });

const entryOf = (model: HostedModel): unknown => ({
  id: withTag(model.spec.name),
  object: 'model',
  created: Math.floor(model.modifiedAt.getTime() / 1000),
  owned_by: 'library',
});

const oneModel = ({ engine, exchange }: Visit, name: string): void => {
  const model = findPresent(engine, name);
  if (!model) {
    sendReply(exchange.res, ollamaError('openai', 404, `model '${withTag(name)}' not found`));
    return;
  }
  sendReply(exchange.res, ollamaJson('openai', { ...(entryOf(model) as object), id: name }));
};

const EARLY_JSON = 'application/json; charset=utf-8';

/** Go's words for the commonest mistake; others are not told apart here. */
const readFields = async (exchange: Exchange, door: Door): Promise<Fields | null> => {
  const raw = await readBody(exchange.req);
  const body = parseFields(raw);
  if (body) return body;
  const message =
    raw === ''
      ? 'missing request body'
      : `invalid character '${raw.trimStart().charAt(1)}' looking for beginning of object key string`;
  // Refused before the OpenAI door is reached, as the content type shows.
  sendReply(exchange.res, { ...ollamaError(door, 400, message), contentType: EARLY_JSON });
  return null;
};

/** The name as the request wrote it and the model that it means. */
const named = (visit: Visit, door: Door, body: Fields): { name: string; model: HostedModel } | null => {
  const name = String(body['model'] ?? body['name'] ?? '');
  const model = findPresent(visit.engine, name);
  if (model) return { name, model };
  const reply = name === '' ? ollamaError(door, 400, 'model is required') : ollamaError(door, 404, `model '${name}' not found`);
  sendReply(visit.exchange.res, reply);
  return null;
};

const show = async (visit: Visit): Promise<void> => {
  const body = await readFields(visit.exchange, 'native');
  const found = body && named(visit, 'native', body);
  if (found) sendReply(visit.exchange.res, ollamaJson('native', showPage(found.model)));
};

const remove = async (visit: Visit): Promise<void> => {
  const body = await readFields(visit.exchange, 'native');
  const found = body && named(visit, 'native', body);
  if (!found) return;
  found.model.isPresent = false;
  forgetDownload(found.model);
  // Assumed: one that is loaded goes when it is idle.
  void visit.engine.unloadWhenIdle(found.model);
  sendReply(visit.exchange.res, { status: 200, contentType: '', body: '' });
};

const pull = async ({ engine, exchange }: Visit): Promise<void> => {
  const body = await readFields(exchange, 'native');
  if (!body) return;
  const name = String(body['model'] ?? body['name'] ?? '');
  pullModel({ engine, model: findModel(engine, name), res: exchange.res, isStream: body['stream'] !== false });
};

const native = async (visit: Visit, kind: 'chat' | 'generate'): Promise<void> => {
  const { engine, exchange } = visit;
  const body = await readFields(exchange, 'native');
  const found = body && named(visit, 'native', body);
  if (!body || !found) return;
  const keepAliveMs = keepAliveOf(body['keep_alive']);
  const isEmpty = kind === 'chat' ? !Array.isArray(body['messages']) || body['messages'].length === 0 : !body['prompt'];
  // Recorded from 0.24.0: one that only makes vectors is loaded by asking for none.
  if (isEmpty && keepAliveMs !== 0 && isEmbeddingOnly(found.model.spec)) {
    return sendReply(exchange.res, ollamaError('native', 400, `"${found.name}" does not support ${kind}`));
  }
  if (isEmpty) return loadOrUnload(visit, { ...found, keepAliveMs, kind, body });
  const prompt = promptOfOllama(body);
  const refusal = unsuitable({ ...found, door: 'native', kind, prompt, maxPromptTokens: nativeLimit(found.model, kind, body) });
  if (refusal) return sendReply(exchange.res, refusal);
  await serveAnswer({
    engine,
    exchange,
    model: found.model,
    prompt,
    wording: ollamaNative({ model: found.name, prompt }, kind),
    refuse: (why) => ollamaRefusal('native', why),
    contextLength: contextOf(found.model, body),
    keepAliveMs,
  });
};

/** Native requests may ask for a context of their own, which reloads the model; all others want its default. */
const contextOf = (model: HostedModel, body: Fields): number => {
  const options = isFields(body['options']) ? body['options'] : {};
  const wanted = options['num_ctx'];
  return typeof wanted === 'number' && wanted > 0 ? Math.min(wanted, 2 ** 20) : model.spec.contextLength;
};

/** Prompts that are too long are cut silently, unless `/api/generate` was told not to. */
const nativeLimit = (model: HostedModel, kind: 'chat' | 'generate', body: Fields): number =>
  kind === 'generate' && body['truncate'] === false ? contextOf(model, body) : Number.POSITIVE_INFINITY;

/** A request without a prompt is how one loads, pins and unloads. */
const loadOrUnload = async (
  { engine, exchange }: Visit,
  call: { name: string; model: HostedModel; keepAliveMs: number | null | undefined; kind: 'chat' | 'generate'; body: Fields },
): Promise<void> => {
  const { model, keepAliveMs } = call;
  const said = call.kind === 'chat' ? { message: { role: 'assistant', content: '' } } : { response: '' };
  const done = (reason: string): void =>
    sendReply(
      exchange.res,
      ollamaJson('native', { model: call.name, created_at: goTime(Date.now()), ...said, done: true, done_reason: reason }),
    );
  if (keepAliveMs === 0) {
    // At once and politely: whatever runs goes on, and the memory stays taken until it is done.
    done('unload');
    if (model.phase === 'warm' || model.phase === 'stale') void engine.unloadWhenIdle(model);
    return;
  }
  const ticket = engine.ticket({
    model,
    route: exchange.path,
    wantsSlot: false,
    contextLength: contextOf(model, call.body),
    keepAliveMs,
  });
  exchange.res.on('close', () => {
    if (!exchange.res.writableFinished) engine.abort(ticket);
  });
  engine.admit(ticket);
  const admission = await ticket.admission;
  if (admission.kind === 'refused') return sendReply(exchange.res, ollamaRefusal('native', admission.refusal));
  if (admission.kind === 'slot') done('load');
};

const openAi = async (visit: Visit, kind: 'chat' | 'completion'): Promise<void> => {
  const { engine, exchange } = visit;
  const body = await readFields(exchange, 'openai');
  if (!body) return;
  if (kind === 'chat' && (!Array.isArray(body['messages']) || body['messages'].length === 0)) {
    return sendReply(exchange.res, {
      ...ollamaError('openai', 400, "[] is too short - 'messages'"),
      contentType: EARLY_JSON,
    });
  }
  const found = named(visit, 'openai', body);
  if (!found) return;
  const prompt = promptOfOpenAi(body);
  const refusal = unsuitable({ ...found, door: 'openai', kind, prompt, maxPromptTokens: found.model.spec.contextLength });
  if (refusal) return sendReply(exchange.res, refusal);
  const naming = { model: found.name, prompt };
  const wording: Wording = kind === 'chat' ? ollamaChat(naming) : ollamaCompletion(naming);
  await serveAnswer({
    engine,
    exchange,
    model: found.model,
    prompt,
    wording,
    refuse: (why) => ollamaRefusal('openai', why),
    contextLength: found.model.spec.contextLength,
  });
};

/** Why this model cannot answer this. Simplified: a prompt that is too long is refused by the real one only after the load. */
const unsuitable = (call: {
  door: Door;
  kind: 'chat' | 'generate' | 'completion';
  name: string;
  model: HostedModel;
  prompt: Prompt;
  maxPromptTokens: number;
}) => {
  const { door, model, name, prompt } = call;
  if (isEmbeddingOnly(model.spec)) {
    return ollamaError(door, 400, `"${name}" does not support ${call.kind === 'completion' ? 'generate' : call.kind}`);
  }
  if (prompt.tools.length > 0 && !can(model.spec, 'tools')) return ollamaError(door, 400, `"${name}" does not support tools`);
  // Assumed wording; older versions ignored images silently.
  if (prompt.imageCount > 0 && !can(model.spec, 'vision')) return ollamaError(door, 400, `"${name}" does not support vision`);
  if (prompt.promptTokens <= call.maxPromptTokens) return null;
  const inner = {
    error: {
      code: 400,
      message: `request (${prompt.promptTokens} tokens) exceeds the available context size (${call.maxPromptTokens} tokens), try increasing it`,
      type: 'exceed_context_size_error',
      n_prompt_tokens: prompt.promptTokens,
      n_ctx: call.maxPromptTokens,
    },
  };
  // The message is itself JSON: its child's error, handed on as text.
  return { ...ollamaError(door, 400, JSON.stringify(inner)), contentType: 'application/json' };
};

interface Embedding {
  readonly visit: Visit;
  readonly door: Door;
  readonly name: string;
  readonly model: HostedModel;
  readonly inputs: readonly string[];
  readonly body: Fields;
}

const embed = async (
  job: Embedding,
  compose: (vectors: number[][], tokens: number, loadMs: number) => unknown,
): Promise<void> => {
  const { engine, exchange } = job.visit;
  // Assumed: what happens to a chat model here depends on how its child was started.
  if (!can(job.model.spec, 'embedding')) {
    return sendReply(exchange.res, ollamaError(job.door, 400, `"${job.name}" does not support embeddings`));
  }
  const tokens = job.inputs.reduce((sum, input) => sum + countTokens(input), 0);
  await serveVectors({
    engine,
    exchange,
    model: job.model,
    inputs: job.inputs,
    refuse: (why) => ollamaRefusal(job.door, why),
    contextLength: contextOf(job.model, job.body),
    keepAliveMs: keepAliveOf(job.body['keep_alive']),
    compose: (ticket) => {
      const vectors = job.inputs.map((input) => vectorOf(input, job.model.spec.dimensions));
      return ollamaJson(job.door, compose(vectors, tokens, ticket.loadMs));
    },
  });
};

const embedNative = async (visit: Visit, kind: 'embed' | 'embeddings'): Promise<void> => {
  const body = await readFields(visit.exchange, 'native');
  const found = body && named(visit, 'native', body);
  if (!body || !found) return;
  const inputs = embeddingInputs(kind === 'embed' ? body['input'] : body['prompt']);
  await embed({ visit, door: 'native', ...found, inputs, body }, (vectors, tokens, loadMs) =>
    kind === 'embeddings'
      ? { embedding: vectors[0] ?? [] }
      : {
          model: found.name,
          embeddings: vectors,
          total_duration: Math.round((loadMs + visit.engine.tuning.prefillMs) * 1e6),
          load_duration: Math.round(Math.max(1, loadMs) * 1e6),
          prompt_eval_count: tokens,
        },
  );
};

const embedOpenAi = async (visit: Visit): Promise<void> => {
  const body = await readFields(visit.exchange, 'openai');
  const found = body && named(visit, 'openai', body);
  if (!body || !found) return;
  const inputs = embeddingInputs(body['input']);
  if (inputs.length === 0) return sendReply(visit.exchange.res, ollamaError('openai', 400, 'invalid input'));
  const isBase64 = body['encoding_format'] === 'base64';
  await embed({ visit, door: 'openai', ...found, inputs, body: {} }, (vectors, tokens) => ({
    object: 'list',
    data: vectors.map((vector, index) => ({ object: 'embedding', embedding: isBase64 ? base64Of(vector) : vector, index })),
    model: found.name,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  }));
};
