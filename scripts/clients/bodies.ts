import { DONE, EventSplitter } from '../../shared/src/sse.ts';
import type { Check } from './published-schemas.ts';

type Fields = Record<string, unknown>;

interface Wanted {
  readonly path: string;
  readonly body?: Fields | FormData;
  readonly schema: string;
  /** Of each event, when the answer is a stream; `schema` otherwise. */
  readonly isStream?: boolean;
  readonly status?: number;
  readonly key?: string;
}

const user = (content: unknown) => [{ role: 'user', content }];
const weather = {
  name: 'weather',
  description: 'x',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
};
const chatTools = [{ type: 'function', function: weather }];
const responseTools = [{ type: 'function', ...weather, strict: false }];
const messageTools = [{ name: 'weather', input_schema: weather.parameters }];

const chat = (body: Fields): Fields => ({ model: 'talker', messages: user('Hi.'), ...body });
const message = (body: Fields): Fields => ({ model: 'talker', max_tokens: 100, messages: user('Hi.'), ...body });
const response = (body: Fields): Fields => ({ model: 'talker', input: 'Hi.', ...body });

const recording = (model: string): FormData => {
  const form = new FormData();
  form.set('model', model);
  form.set('file', new File([new Uint8Array(4)], 'a.wav', { type: 'audio/wav' }));
  return form;
};

/** The schema of plain completions is that of whole ones: OpenAI's own streams have no reason either until the last chunk. */
const asPublished = (schema: string, value: { choices?: Fields[] }): unknown =>
  schema === 'CreateCompletionResponse'
    ? { ...value, choices: value.choices?.map((choice) => ({ ...choice, finish_reason: choice['finish_reason'] ?? 'stop' })) }
    : value;

/** Every kind of answer of the OpenAI routes, good ones and errors. */
export const openAiBodies: readonly Wanted[] = [
  { path: '/v1/models', schema: 'ListModelsResponse' },
  { path: '/v1/models/talker', schema: 'Model' },
  { path: '/v1/chat/completions', body: chat({}), schema: 'CreateChatCompletionResponse' },
  { path: '/v1/chat/completions', body: chat({ messages: user('THINK') }), schema: 'CreateChatCompletionResponse' },
  {
    path: '/v1/chat/completions',
    body: chat({ messages: user('TOOL'), tools: chatTools }),
    schema: 'CreateChatCompletionResponse',
  },
  { path: '/v1/chat/completions', body: chat({ stream: true }), schema: 'CreateChatCompletionStreamResponse', isStream: true },
  {
    path: '/v1/chat/completions',
    body: chat({ messages: user('TOOL'), tools: chatTools, stream: true, stream_options: { include_usage: true } }),
    schema: 'CreateChatCompletionStreamResponse',
    isStream: true,
  },
  { path: '/v1/completions', body: { model: 'talker', prompt: 'Hi.' }, schema: 'CreateCompletionResponse' },
  {
    path: '/v1/completions',
    body: { model: 'talker', prompt: 'Hi.', stream: true },
    schema: 'CreateCompletionResponse',
    isStream: true,
  },
  { path: '/v1/embeddings', body: { model: 'embedder', input: 'a' }, schema: 'CreateEmbeddingResponse' },
  { path: '/v1/audio/transcriptions', body: recording('listener'), schema: 'CreateTranscriptionResponseJson' },
  { path: '/v1/responses', body: response({}), schema: 'Response' },
  { path: '/v1/responses', body: response({ input: 'TOOL', tools: responseTools }), schema: 'Response' },
  { path: '/v1/responses', body: response({ input: 'THINK', stream: true }), schema: 'ResponseStreamEvent', isStream: true },
  {
    path: '/v1/responses',
    body: response({ input: 'TOOL', tools: responseTools, stream: true }),
    schema: 'ResponseStreamEvent',
    isStream: true,
  },
  {
    path: '/v1/responses',
    body: response({ input: 'TOOL', tools: [{ type: 'custom', name: 'shell' }], stream: true }),
    schema: 'ResponseStreamEvent',
    isStream: true,
  },
  { path: '/v1/responses', body: response({ input: 'BREAK', stream: true }), schema: 'ResponseStreamEvent', isStream: true },
  ...['/v1/chat/completions', '/v1/completions', '/v1/embeddings', '/v1/responses', '/v1/rerank'].flatMap((path): Wanted[] => [
    { path, body: {}, schema: 'ErrorResponse', status: 400 },
    {
      path,
      body: { ...chat({}), prompt: 'x', input: 'x', query: 'x', documents: ['x'], model: 'nope' },
      schema: 'ErrorResponse',
      status: 404,
    },
    { path, body: {}, schema: 'ErrorResponse', status: 401, key: 'sk-wrong' },
  ]),
  { path: '/v1/models/nope', schema: 'ErrorResponse', status: 404 },
  { path: '/v1/audio/transcriptions', body: recording('talker'), schema: 'ErrorResponse', status: 400 },
  { path: '/v1/chat/completions', body: chat({ messages: user('TOOLONG') }), schema: 'ErrorResponse', status: 400 },
  { path: '/v1/nothing', body: {}, schema: 'ErrorResponse', status: 404 },
];

export const anthropicBodies: readonly Wanted[] = [
  { path: '/v1/models', schema: 'ListResponse_ModelInfo_' },
  { path: '/v1/messages', body: message({}), schema: 'Message' },
  { path: '/v1/messages', body: message({ messages: user('TOOL'), tools: messageTools }), schema: 'Message' },
  {
    path: '/v1/messages',
    body: message({ messages: user('THINK'), stream: true }),
    schema: 'MessageStreamEvent',
    isStream: true,
  },
  {
    path: '/v1/messages',
    body: message({ messages: user('TOOL'), tools: messageTools, stream: true }),
    schema: 'MessageStreamEvent',
    isStream: true,
  },
  { path: '/v1/messages/count_tokens', body: { model: 'talker', messages: user('Hi.') }, schema: 'CountMessageTokensResponse' },
  { path: '/v1/messages', body: {}, schema: 'ErrorResponse', status: 400 },
  { path: '/v1/messages', body: message({ model: 'nope' }), schema: 'ErrorResponse', status: 404 },
  { path: '/v1/messages', body: {}, schema: 'ErrorResponse', status: 401, key: 'sk-ant-wrong' },
];

/** Asks for every one of these and says what is wrong with the answers. */
export const checkBodies = async (
  fleet: { readonly url: string; readonly key: string },
  wanted: readonly Wanted[],
  options: { check: Check; headers?: Record<string, string> },
): Promise<string[]> => {
  const problems: string[] = [];
  for (const { path, body, schema, isStream = false, status = 200, key = fleet.key } of wanted) {
    const name = `${path} → ${status} ${schema}${isStream ? ' (stream)' : ''}`;
    const form = body instanceof FormData;
    const answer = await fetch(`${fleet.url}${path}`, {
      method: body ? 'POST' : 'GET',
      headers: {
        authorization: `Bearer ${key}`,
        ...(body && !form ? { 'content-type': 'application/json' } : {}),
        ...options.headers,
      },
      ...(body ? { body: form ? body : JSON.stringify(body) } : {}),
    });
    const text = await answer.text();
    if (answer.status !== status) problems.push(`${name}: status ${answer.status}, ${text.slice(0, 200)}`);
    const bodies = isStream ? new EventSplitter().push(text).filter((data) => data !== DONE) : [text];
    if (bodies.length === 0) problems.push(`${name}: nothing was said`);
    for (const said of bodies) {
      const found = options.check(schema, asPublished(schema, JSON.parse(said)));
      if (found.length > 0) problems.push(`${name}: ${found.slice(0, 6).join('; ')} in ${said.slice(0, 240)}`);
    }
  }
  return problems;
};
