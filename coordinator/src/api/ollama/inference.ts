import { CodedError } from '@lai/shared/errors';
import { OllamaChatRequest, OllamaEmbeddingsRequest, OllamaEmbedRequest, OllamaGenerateRequest } from '@lai/shared/ollama';
import type { EmbeddingList } from '@lai/shared/openai';
import type { z } from 'zod';
import { demand } from '../../access/middleware.ts';
import { systemClock } from '../../dispatch/clock.ts';
import { readJsonBody } from '../openai/body.ts';
import { ChatDeltas } from '../openai/chat-deltas.ts';
import { chatQuestion } from '../openai/chat-question.ts';
import { BytesCollector } from '../openai/collect-bytes.ts';
import { vectorsAs } from '../openai/embedding-vectors.ts';
import { composedBody } from '../openai/engine-body.ts';
import { ignoredFields, ignoredHeader } from '../openai/field-table.ts';
import { jsonOf } from '../openai/foreign-json.ts';
import { canThink, findModel } from '../openai/models.ts';
import { completionTarget, embeddingTarget, longestText, plainConversation } from '../openai/needs.ts';
import { plainSignals } from '../openai/question-signals.ts';
import { writeJson } from '../openai/respond.ts';
import { type Call, type Door, type Question, serve } from '../openai/serve.ts';
import type { WholeWording, Wording } from '../openai/wording.ts';
import { unloadModel } from './catalog.ts';
import { ollamaError } from './error-envelope.ts';
import { OLLAMA_CHAT_FIELDS, OLLAMA_EMBED_FIELDS, OLLAMA_EMBEDDINGS_FIELDS, OLLAMA_GENERATE_FIELDS } from './fields.ts';
import { chatFromGenerate, chatFromOllama, completionFromGenerate } from './input.ts';
import { isUnload } from './keep-alive.ts';
import { OllamaComposer } from './output.ts';

/** `curl -d` sends JSON as a form, and Ollama's own manual is full of that. */
const read = <T>(call: Call, door: Door, schema: z.ZodType<T>) =>
  readJsonBody(call.request, schema, { maxTextBytes: door.maxTextBodyBytes, isAnyMediaType: true });

/** `POST /api/chat` */
export const chat = async (call: Call, door: Door): Promise<void> => {
  const { value: request } = await read(call, door, OllamaChatRequest);
  const composer = new OllamaComposer({ kind: 'chat', model: request.model, receivedAtMs: call.receivedAtMs });
  if (!request.messages?.length) return loadOrUnload(call, door, { request, composer });
  const isAbleToThink = canThink(door.registry.list(), request.model);
  const question = chatQuestion(chatFromOllama(request, isAbleToThink));
  const headers = ignoredHeader([...ignoredFields(OLLAMA_CHAT_FIELDS, request), ...unthought(request, isAbleToThink)]);
  return serve(call, door, question, wordingOf(composer, { isStreaming: request.stream !== false, headers }));
};

/** `POST /api/generate` */
export const generate = async (call: Call, door: Door): Promise<void> => {
  const { value: request } = await read(call, door, OllamaGenerateRequest);
  const composer = new OllamaComposer({ kind: 'generate', model: request.model, receivedAtMs: call.receivedAtMs });
  if (!request.prompt && !request.suffix && !request.images?.length) return loadOrUnload(call, door, { request, composer });
  const isPlain = request.raw === true || Boolean(request.suffix);
  const isAbleToThink = !isPlain && canThink(door.registry.list(), request.model);
  const question = isPlain ? completionQuestion(request) : chatQuestion(chatFromGenerate(request, isAbleToThink));
  const headers = ignoredHeader([
    ...ignoredFields(OLLAMA_GENERATE_FIELDS, request),
    ...unthought(request, isAbleToThink),
    // What a prompt that is taken as it is has no place for.
    ...(isPlain ? (['format', 'system', 'images'] as const).filter((name) => request[name]?.length) : []),
  ]);
  return serve(call, door, question, wordingOf(composer, { isStreaming: request.stream !== false, headers }));
};

/** That a model should think which cannot. */
const unthought = ({ think }: { think?: boolean | string | null | undefined }, isAbleToThink: boolean): string[] =>
  think && think !== 'none' && !isAbleToThink ? ['think'] : [];

/** `POST /api/embed` */
export const embed = async (call: Call, door: Door): Promise<void> => {
  const { value: request } = await read(call, door, OllamaEmbedRequest);
  const { model, input, dimensions } = request;
  const isCut = request.truncate !== false;
  const question = embeddingQuestion({ model, input, ...(dimensions ? { dimensions } : {}) }, { isCut });
  const say = (list: Pick<EmbeddingList, 'data'> & Partial<EmbeddingList>) => ({
    model,
    embeddings: vectorsOf(list),
    total_duration: (systemClock.nowMs() - call.receivedAtMs) * 1_000_000,
    load_duration: 0,
    prompt_eval_count: list.usage?.prompt_tokens ?? 0,
  });
  const headers = ignoredHeader(ignoredFields(OLLAMA_EMBED_FIELDS, request));
  if (input.length === 0 && typeof input !== 'string') return answerNothing(call, door, { model, headers, say });
  return serve(call, door, question, vectorsWording(say, { dimensions: dimensions ?? null, headers }));
};

/** `POST /api/embeddings`, the older of the two. */
export const embeddings = async (call: Call, door: Door): Promise<void> => {
  const { value } = await read(call, door, OllamaEmbeddingsRequest);
  const question = embeddingQuestion({ model: value.model, input: value.prompt }, { isCut: true });
  const headers = ignoredHeader(ignoredFields(OLLAMA_EMBEDDINGS_FIELDS, value));
  return serve(
    call,
    door,
    question,
    vectorsWording((list) => ({ embedding: vectorsOf(list)[0] ?? [] }), { dimensions: null, headers }),
  );
};

/** No input has no vectors; engines call that an error. */
const answerNothing = (
  call: Call,
  door: Door,
  { model, headers, say }: { model: string; headers: Record<string, string>; say(list: Pick<EmbeddingList, 'data'>): unknown },
): void => {
  demand(call.principal, 'inference.run', { model });
  if (!findModel(door.registry.list(), model)) throw new CodedError('model_not_found', { param: 'model' });
  writeJson(call.response, 200, { 'x-request-id': call.requestId, ...headers }, say({ data: [] }));
};

/** A request without a prompt is Ollama's way to load a model, and with `keep_alive: 0` its way to send it away. */
const loadOrUnload = async (
  call: Call,
  door: Door,
  {
    request,
    composer,
  }: { request: { model: string; keep_alive?: string | number | null | undefined }; composer: OllamaComposer },
): Promise<void> => {
  if (!isUnload(request.keep_alive)) return load(call, door, { model: request.model, composer });
  await unloadModel(call, door, request.model);
  writeJson(call.response, 200, { 'x-request-id': call.requestId }, composer.moved('unload'));
};

/** Here it is a question for one token: it waits for its turn, and the scheduler decides where the model is loaded. */
const load = async (call: Call, door: Door, { model, composer }: { model: string; composer: OllamaComposer }): Promise<void> => {
  const isForVectors = findModel(door.registry.list(), model)?.capabilities.includes('chat') === false;
  const question = isForVectors
    ? embeddingQuestion({ model, input: 'load' })
    : chatQuestion({ model, messages: [{ role: 'user', content: 'load' }], max_tokens: 1 });
  return serve(call, door, question, { kind: 'whole', error: ollamaError, push: () => {}, finish: () => composer.moved('load') });
};

const completionQuestion = (request: OllamaGenerateRequest): Question => {
  const completion = completionFromGenerate(request);
  return {
    route: 'completions',
    target: completionTarget(completion),
    conversation: plainConversation(null, completion.prompt),
    signals: plainSignals(longestText(completion.prompt), completion.max_tokens ?? 0),
    bodyFor: composedBody({ ...completion, stream: true, stream_options: { include_usage: true } }),
  };
};

/** With `isCut` no input is too long: the node cuts it to what its engine takes. */
const embeddingQuestion = (
  request: { model: string; input: string | string[]; dimensions?: number },
  { isCut = false }: { isCut?: boolean } = {},
): Question => ({
  route: 'embeddings',
  target: { ...embeddingTarget(request), ...(isCut ? { contextTokens: 0 } : {}) },
  conversation: null,
  signals: plainSignals(longestText(request.input), 0),
  bodyFor: composedBody(isCut ? { ...request, truncate: true } : request),
});

const wordingOf = (
  composer: OllamaComposer,
  { isStreaming, headers }: { isStreaming: boolean; headers: Record<string, string> },
): Wording => {
  const deltas = new ChatDeltas();
  if (!isStreaming) {
    return {
      kind: 'whole',
      headers,
      error: ollamaError,
      push: (bytes) => {
        for (const delta of deltas.push(bytes)) composer.take(delta);
      },
      finish: (frame) => {
        for (const delta of deltas.finish()) composer.take(delta);
        return composer.whole(frame);
      },
    };
  }
  return {
    kind: 'stream',
    headers,
    contentType: 'application/x-ndjson',
    error: ollamaError,
    // These lines know no comments.
    keepAlive: () => linesText([composer.nothing()]),
    chunk: (_, bytes) => linesText(deltas.push(bytes).flatMap((delta) => composer.take(delta))),
    end: (frame) => linesText([...deltas.finish().flatMap((delta) => composer.take(delta)), ...composer.complete(frame)]),
    failed: (failure) => linesText([ollamaError(failure).body]),
  };
};

const linesText = (lines: readonly unknown[]): string => lines.map((line) => `${jsonOf(line)}\n`).join('');

const vectorsWording = (
  say: (list: EmbeddingList) => unknown,
  { dimensions, headers }: { dimensions: number | null; headers: Record<string, string> },
): WholeWording => {
  const collector = new BytesCollector();
  return {
    kind: 'whole',
    headers,
    error: ollamaError,
    push: (bytes) => collector.push(bytes),
    finish: () => {
      const list = vectorsAs(collector.bytes(), { encoding: 'float', dimensions });
      return say((list instanceof Uint8Array ? JSON.parse(Buffer.from(list).toString()) : list) as EmbeddingList);
    },
  };
};

const vectorsOf = (list: Pick<EmbeddingList, 'data'>): number[][] =>
  [...list.data].sort((a, b) => a.index - b.index).map(({ embedding }) => embedding as number[]);
