import type { Engine } from './engine.ts';
import type { Habits } from './habits.ts';
import type { HostedModel } from './hosted-model.ts';
import { type Dialect, serveAnswer, serveVectors } from './inference.ts';
import { llamaMetrics, modelEvents, propsOf, routerModels, routerProps, singleModels, slotsOf } from './llama-server-pages.ts';
import {
  FILE_NOT_FOUND,
  LOADING,
  llamaChat,
  llamaCompletion,
  llamaError,
  llamaJson,
  llamaRefusal,
} from './llama-server-wording.ts';
import { can, isEmbeddingOnly } from './model-spec.ts';
import { embeddingInputs, type Fields, promptOfOpenAi } from './prompt.ts';
import { base64Of, countTokens, vectorOf } from './text.ts';
import { type Exchange, parseFields, type Reply, readBody, sendReply } from './wire.ts';

/**
 * Recorded from llama-server 0.7.0 unless said otherwise. Loads of several models at once, eviction by count alone and the
 * shared failure of a load are read from its source (server-models.cpp).
 */
const HABITS: Habits = {
  slots: 4,
  loadsAtOnce: Number.POSITIVE_INFINITY,
  // Assumed: the router goes on loading when the request that caused it is gone.
  abandonedLoad: 'finish',
  sharesLoadFailure: true,
  eviction: 'least-recent',
  evictsForMemory: false,
  // Assumed: a child that was told to exit takes nothing new.
  leavingTakesRequests: false,
  afterCrash: 'cold',
  whenExpired: 'sleep',
  wakesOnRequest: true,
  preallocatedShare: null,
};

export const llamaServer = (options: { isSingleModel: boolean; sleepIdleMs: number | null }): Dialect => ({
  habits: HABITS,
  tuning: { maxQueue: Number.MAX_SAFE_INTEGER, keepAliveMs: options.sleepIdleMs, maxLoadedModels: 4, whenTooBig: 'fail' },
  headers: { server: 'llama.cpp', 'access-control-allow-origin': '' },
  loadsBeforeListening: false,
  answer: (engine, exchange) => answer({ engine, exchange, isRouter: !options.isSingleModel }),
});

interface Visit {
  readonly engine: Engine;
  readonly exchange: Exchange;
  readonly isRouter: boolean;
}

const answer = async (visit: Visit): Promise<void> => {
  const { engine, exchange } = visit;
  const only = visit.isRouter ? undefined : engine.models[0];
  if (only && (only.phase === 'loading' || only.phase === 'cold')) return sendReply(exchange.res, LOADING);
  switch (`${exchange.method} ${exchange.path}`) {
    case 'GET /health':
    case 'GET /v1/health':
      return sendReply(exchange.res, llamaJson({ status: 'ok' }));
    case 'GET /models':
    case 'GET /v1/models':
      return sendReply(exchange.res, llamaJson(only ? singleModels(only) : routerModels(engine)));
    case 'GET /models/sse':
      return streamEvents(visit);
    case 'GET /props':
      return describe(visit, propsOf, visit.isRouter ? llamaJson(routerProps(engine)) : undefined);
    case 'GET /slots':
      return describe(visit, slotsOf);
    case 'GET /metrics':
      return describe(visit, (model) => llamaMetrics(model));
    case 'POST /models/load':
      return load(visit);
    case 'POST /models/unload':
      return unload(visit);
    case 'POST /v1/chat/completions':
    case 'POST /chat/completions':
      return infer(visit, 'chat');
    case 'POST /v1/completions':
      return infer(visit, 'completion');
    case 'POST /v1/embeddings':
    case 'POST /embeddings':
      return embed(visit);
    default:
      return sendReply(exchange.res, FILE_NOT_FOUND);
  }
};

const invalid = (message: string): Reply => llamaError(400, message, 'invalid_request_error');

const LIMIT_REACHED = llamaError(500, 'model limit reached, try again later', 'server_error');

const find = (engine: Engine, name: string): HostedModel | undefined =>
  engine.models.find((model) => model.isPresent && model.spec.name === name);

/** The model a request means, or why it means none. */
const named = (visit: Visit, name: unknown): HostedModel | Reply => {
  const { engine, exchange } = visit;
  const only = engine.models[0];
  if (!visit.isRouter && only) return only;
  if (typeof name !== 'string' || name === '') return invalid('model name is missing from the request');
  const model = find(engine, name);
  if (!model) return invalid(`model '${name}' not found`);
  const mayLoad = exchange.query.get('autoload') !== 'false';
  const isRunning = model.phase !== 'cold' && model.phase !== 'stale';
  return mayLoad || isRunning ? model : invalid('model is not loaded');
};

const isReply = (value: HostedModel | Reply): value is Reply => 'status' in value;

const describe = (visit: Visit, page: (model: HostedModel) => unknown, withoutName?: Reply): void => {
  const { exchange } = visit;
  const name = exchange.query.get('model');
  if (name === null && withoutName) {
    sendReply(exchange.res, withoutName);
    return;
  }
  const model = named(visit, name);
  if (isReply(model)) {
    sendReply(exchange.res, model);
    return;
  }
  // Simplified: the real router would load the model to ask it.
  const content = page(model);
  if (typeof content !== 'string') {
    sendReply(exchange.res, llamaJson(content));
    return;
  }
  sendReply(exchange.res, { status: 200, contentType: 'text/plain; version=0.0.4', body: content });
};

const readFields = async (exchange: Exchange): Promise<Fields | null> => {
  const text = await readBody(exchange.req);
  const body = parseFields(text);
  if (!body) {
    const near = JSON.stringify(text.slice(0, 2));
    sendReply(
      exchange.res,
      invalid(
        `[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while parsing object key - invalid literal; last read: '${near.slice(1, -1)}'; expected string literal`,
      ),
    );
  }
  return body;
};

const load = async (visit: Visit): Promise<void> => {
  const { engine, exchange } = visit;
  const body = await readFields(exchange);
  if (!body) return;
  const model = find(engine, String(body['model'] ?? ''));
  if (!model) return sendReply(exchange.res, FILE_NOT_FOUND);
  if (model.phase !== 'cold' && model.phase !== 'stale') return sendReply(exchange.res, invalid('model is already running'));
  // Measured on 0.7.0: room is made before it answers, and no request is waited for. How the load goes is told by GET /models.
  if (engine.hasNoPlaceFor(model)) return sendReply(exchange.res, LIMIT_REACHED);
  const begun = new Promise<void>((resolve) => {
    const watch: Parameters<typeof engine.watchers.add>[0] = (event) => {
      if (event.model === model && engine.watchers.delete(watch)) resolve();
    };
    engine.watchers.add(watch);
  });
  engine.admit(engine.ticket({ model, route: exchange.path, wantsSlot: false }));
  await begun;
  sendReply(exchange.res, llamaJson({ success: true }));
};

const unload = async (visit: Visit): Promise<void> => {
  const { engine, exchange } = visit;
  const body = await readFields(exchange);
  if (!body) return;
  const model = find(engine, String(body['model'] ?? ''));
  if (!model) return sendReply(exchange.res, FILE_NOT_FOUND);
  if (model.phase === 'cold' || model.phase === 'stale') return sendReply(exchange.res, invalid('model is not running'));
  sendReply(exchange.res, llamaJson({ success: true }));
  engine.unloadNow(model);
};

const streamEvents = ({ engine, exchange }: Visit): void => {
  exchange.res.writeHead(200, { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' });
  exchange.res.flushHeaders();
  const watch: Parameters<typeof engine.watchers.add>[0] = (event) => {
    for (const told of modelEvents(event)) exchange.res.write(`data: ${JSON.stringify(told)}\n\n`);
  };
  engine.watchers.add(watch);
  exchange.res.on('close', () => engine.watchers.delete(watch));
};

const infer = async (visit: Visit, kind: 'chat' | 'completion'): Promise<void> => {
  const { engine, exchange, isRouter } = visit;
  const body = await readFields(exchange);
  if (!body) return;
  const model = named(visit, body['model']);
  if (isReply(model)) return sendReply(exchange.res, model);
  const refusal = unsuitable(model, kind, body);
  if (refusal) return sendReply(exchange.res, refusal);
  const prompt = promptOfOpenAi(body);
  const naming = { model: model.spec.name, prompt, isRouted: isRouter };
  await serveAnswer({
    engine,
    exchange,
    model,
    prompt,
    wording: kind === 'chat' ? llamaChat(naming) : llamaCompletion(naming),
    refuse: (why) => llamaRefusal(model.spec.name, why),
  });
};

/** Why this body cannot be answered by this model. Simplified: the real one loads the model before it looks. */
const unsuitable = (model: HostedModel, kind: 'chat' | 'completion', body: Fields): Reply | null => {
  if (kind === 'chat' && !Array.isArray(body['messages'])) return invalid("'messages' is required");
  if (isEmbeddingOnly(model.spec)) {
    return llamaError(501, 'This server does not support completions. Start it without `--embeddings`', 'not_supported_error');
  }
  const prompt = promptOfOpenAi(body);
  if (prompt.imageCount > 0 && !can(model.spec, 'vision')) {
    // [source] The hint is part of the real message.
    return llamaError(
      500,
      'image input is not supported - hint: if this is unexpected, you may need to provide the mmproj',
      'server_error',
    );
  }
  if (prompt.promptTokens <= model.contextLength) return null;
  return llamaError(
    400,
    `request (${prompt.promptTokens} tokens) exceeds the available context size (${model.contextLength} tokens), try increasing it`,
    'exceed_context_size_error',
    { n_prompt_tokens: prompt.promptTokens, n_ctx: model.contextLength },
  );
};

const embed = async (visit: Visit): Promise<void> => {
  const { engine, exchange } = visit;
  const body = await readFields(exchange);
  if (!body) return;
  const model = named(visit, body['model']);
  if (isReply(model)) return sendReply(exchange.res, model);
  if (!can(model.spec, 'embedding')) {
    return sendReply(
      exchange.res,
      llamaError(501, 'This server does not support embeddings. Start it with `--embeddings`', 'not_supported_error'),
    );
  }
  const inputs = embeddingInputs(body['input']);
  if (inputs.length === 0) return sendReply(exchange.res, invalid('"input" or "content" must be provided'));
  const isBase64 = body['encoding_format'] === 'base64';
  const tokens = inputs.reduce((sum, input) => sum + countTokens(input), 0);
  await serveVectors({
    engine,
    exchange,
    model,
    inputs,
    refuse: (why) => llamaRefusal(model.spec.name, why),
    compose: () =>
      llamaJson({
        model: model.spec.name,
        object: 'list',
        usage: { prompt_tokens: tokens, total_tokens: tokens },
        data: inputs.map((input, index) => {
          const vector = vectorOf(input, model.spec.dimensions);
          return { embedding: isBase64 ? base64Of(vector) : vector, index, object: 'embedding' };
        }),
      }),
  });
};
