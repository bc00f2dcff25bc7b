import type { Engine } from './engine.ts';
import type { Habits } from './habits.ts';
import type { HostedModel } from './hosted-model.ts';
import { type Dialect, serveAnswer, serveVectors } from './inference.ts';
import { can, isEmbeddingOnly } from './model-spec.ts';
import { embeddingInputs, type Fields, promptOfOpenAi } from './prompt.ts';
import { base64Of, countTokens, vectorOf } from './text.ts';
import { vllmChat, vllmCompletion, vllmError, vllmJson, vllmRefusal } from './vllm-wording.ts';
import { type Exchange, parseFields, type Reply, readBody, sendReply } from './wire.ts';

/** From vLLM's source and issues, nothing recorded. One base model per process, in memory before the port opens. */
const HABITS: Habits = {
  slots: 64,
  loadsAtOnce: 1,
  abandonedLoad: 'finish',
  sharesLoadFailure: true,
  eviction: 'least-recent',
  evictsForMemory: false,
  leavingTakesRequests: true,
  afterCrash: 'engine-dead',
  whenExpired: 'unload',
  // Assumed: a request that comes while it sleeps waits. Real versions have crashed instead: fault `sleep-crash`.
  wakesOnRequest: false,
  preallocatedShare: 0.9,
};

export const vllm = (): Dialect => ({
  habits: HABITS,
  tuning: { maxQueue: Number.MAX_SAFE_INTEGER, keepAliveMs: null, whenTooBig: 'fail' },
  headers: { server: 'uvicorn' },
  loadsBeforeListening: true,
  answer: (engine, exchange) => {
    const model = engine.models[0];
    return model ? answer({ engine, exchange, model }) : sendReply(exchange.res, NOT_FOUND);
  },
});

interface Visit {
  readonly engine: Engine;
  readonly exchange: Exchange;
  readonly model: HostedModel;
}

const NOT_FOUND: Reply = { status: 404, contentType: 'application/json', body: '{"detail":"Not Found"}' };

const answer = (visit: Visit): Promise<void> | void => {
  const { engine, exchange, model } = visit;
  const empty = (status: number): void => sendReply(exchange.res, { status, contentType: '', body: '' });
  switch (`${exchange.method} ${exchange.path}`) {
    case 'GET /health':
      return empty(engine.isCoreDead ? 503 : 200);
    case 'GET /ping':
      return empty(200);
    case 'GET /version':
      return sendReply(exchange.res, vllmJson({ version: '0.0.0+lai.mock' }));
    case 'GET /v1/models':
      return sendReply(exchange.res, vllmJson({ object: 'list', data: [cardOf(model)] }));
    case 'GET /metrics':
      return sendReply(exchange.res, {
        status: 200,
        contentType: 'text/plain; version=0.0.4; charset=utf-8',
        body: metricsOf(visit),
      });
    case 'POST /sleep':
      sleep(visit);
      return empty(200);
    case 'POST /wake_up':
      return wakeUp(visit);
    case 'GET /is_sleeping':
      return sendReply(exchange.res, vllmJson({ is_sleeping: model.phase === 'sleeping' }));
    case 'POST /v1/chat/completions':
      return infer(visit, 'chat');
    case 'POST /v1/completions':
      return infer(visit, 'completion');
    case 'POST /v1/embeddings':
      return embed(visit);
    default:
      return sendReply(exchange.res, NOT_FOUND);
  }
};

const cardOf = (model: HostedModel): unknown => ({
  id: model.spec.name,
  object: 'model',
  created: Math.floor(model.modifiedAt.getTime() / 1000),
  owned_by: 'vllm',
  root: model.spec.name,
  parent: null,
  max_model_len: model.contextLength,
  permission: [],
});

const metricsOf = ({ engine, model }: Visit): string => {
  const labels = `engine="0",model_name="${model.spec.name}"`;
  const state = model.phase === 'sleeping' ? 'weights_offloaded' : 'awake';
  const lines: [name: string, kind: string, value: number, more?: string][] = [
    ['num_requests_running', 'gauge', model.busy.size],
    ['num_requests_waiting', 'gauge', model.waiting.length + engine.coldQueueLength],
    ['kv_cache_usage_perc', 'gauge', Math.min(1, model.busy.size / model.slots)],
    ['prompt_tokens_total', 'counter', model.counts.promptTokens],
    ['generation_tokens_total', 'counter', model.counts.tokens],
    ['num_preemptions_total', 'counter', 0],
    ...['awake', 'weights_offloaded', 'discard_all'].map((name): [string, string, number, string] => [
      'engine_sleep_state',
      'gauge',
      name === state ? 1 : 0,
      `,sleep_state="${name}"`,
    ]),
  ];
  return lines
    .map(([name, kind, value, more = '']) => `# TYPE vllm:${name} ${kind}\nvllm:${name}{${labels}${more}} ${value}\n`)
    .join('');
};

/** What stays on the GPU while it sleeps: the process's own context. */
const SLEEPING_SHARE = 0.05;

/** Aborts what runs and gives the memory back; with the fault it answers 200 all the same, and is dead. */
const sleep = ({ engine, model }: Visit): void => {
  if (engine.faults.claim('sleep-crash', model.spec.name)) {
    engine.crashRunner(model);
    return;
  }
  engine.sleep(model, Math.round(engine.needs(model, model.contextLength) * SLEEPING_SHARE));
};

const wakeUp = ({ engine, exchange, model }: Visit): void => {
  if (engine.wake(model)) {
    sendReply(exchange.res, { status: 200, contentType: '', body: '' });
    return;
  }
  // Assumed: what a CUDA allocation that fails there does.
  sendReply(exchange.res, vllmError(500, 'CUDA out of memory.', 'InternalServerError'));
  engine.isCoreDead = true;
};

const readFields = async (exchange: Exchange): Promise<Fields | null> => {
  const body = parseFields(await readBody(exchange.req));
  if (!body) sendReply(exchange.res, vllmError(400, '1 validation error: JSON decode error', 'BadRequestError'));
  return body;
};

/** A dead core makes the process end with the first request that notices. */
const exitWhenDead = ({ engine, exchange }: Visit): void => {
  exchange.res.once('close', () => {
    if (engine.isCoreDead) engine.die({ exitCode: 1 });
  });
};

const infer = async (visit: Visit, kind: 'chat' | 'completion'): Promise<void> => {
  const { engine, exchange, model } = visit;
  const body = await readFields(exchange);
  if (!body) return;
  const refusal = unsuitable(model, kind, body);
  if (refusal) return sendReply(exchange.res, refusal);
  if (engine.isCoreDead) {
    exitWhenDead(visit);
    return sendReply(exchange.res, vllmRefusal({ kind: 'dead' }));
  }
  const prompt = promptOfOpenAi(body);
  const naming = { model: model.spec.name, prompt };
  await serveAnswer({
    engine,
    exchange,
    model,
    prompt,
    wording: kind === 'chat' ? vllmChat(naming) : vllmCompletion(naming),
    refuse: vllmRefusal,
  });
};

const otherModel = (model: HostedModel, body: Fields): Reply | null =>
  body['model'] === undefined || body['model'] === model.spec.name
    ? null
    : vllmError(404, `The model \`${String(body['model'])}\` does not exist.`, 'NotFoundError', 'model');

const unsuitable = (model: HostedModel, kind: 'chat' | 'completion', body: Fields): Reply | null => {
  const other = otherModel(model, body);
  if (other) return other;
  if (kind === 'chat' && !Array.isArray(body['messages'])) {
    return vllmError(400, "[{'type': 'missing', 'loc': ('body', 'messages'), 'msg': 'Field required'}]", 'BadRequestError');
  }
  if (isEmbeddingOnly(model.spec)) {
    return vllmError(400, `The model does not support ${kind === 'chat' ? 'Chat ' : ''}Completions API`, 'BadRequestError');
  }
  const prompt = promptOfOpenAi(body);
  if (prompt.imageCount > 0 && !can(model.spec, 'vision')) {
    return vllmError(400, `${model.spec.name} is not a multimodal model`, 'BadRequestError');
  }
  const wanted = prompt.maxTokens ?? 0;
  if (prompt.promptTokens + wanted <= model.contextLength) return null;
  return vllmError(
    400,
    `This model's maximum context length is ${model.contextLength} tokens. However, you requested ${wanted} output tokens and your prompt contains at least ${prompt.promptTokens} input tokens, for a total of at least ${prompt.promptTokens + wanted} tokens. Please reduce the length of the input prompt or the number of requested output tokens.`,
    'BadRequestError',
    'input_tokens',
  );
};

const embed = async (visit: Visit): Promise<void> => {
  const { engine, exchange, model } = visit;
  const body = await readFields(exchange);
  if (!body) return;
  const other = otherModel(model, body);
  if (other) return sendReply(exchange.res, other);
  if (!can(model.spec, 'embedding')) {
    return sendReply(exchange.res, vllmError(400, 'The model does not support Embeddings API', 'BadRequestError'));
  }
  const inputs = embeddingInputs(body['input']);
  const tokens = inputs.reduce((sum, input) => sum + countTokens(input), 0);
  const isBase64 = body['encoding_format'] === 'base64';
  await serveVectors({
    engine,
    exchange,
    model,
    inputs,
    refuse: vllmRefusal,
    compose: () =>
      vllmJson({
        id: 'embd-0',
        object: 'list',
        created: Math.floor(Date.now() / 1000),
        model: model.spec.name,
        data: inputs.map((input, index) => {
          const vector = vectorOf(input, model.spec.dimensions);
          return { index, object: 'embedding', embedding: isBase64 ? base64Of(vector) : vector };
        }),
        usage: { prompt_tokens: tokens, total_tokens: tokens, completion_tokens: 0, prompt_tokens_details: null },
      }),
  });
};
