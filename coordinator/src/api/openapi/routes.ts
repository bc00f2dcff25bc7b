import * as admin from '@lai/shared/admin-api';
import * as anthropic from '@lai/shared/anthropic';
import * as ollama from '@lai/shared/ollama';
import * as openai from '@lai/shared/openai';
import * as responses from '@lai/shared/responses';
import { z } from 'zod';

export type Api = 'OpenAI' | 'Anthropic' | 'Ollama' | 'Jobs' | 'Management' | 'Health';

/** One line of the document. Schemas are those that the routes themselves read with, so the two cannot drift apart. */
export interface DocumentedRoute {
  readonly method: 'get' | 'post' | 'patch' | 'delete';
  /** As OpenAPI writes it: `{id}`. */
  readonly path: string;
  readonly api: Api;
  readonly operationId: string;
  readonly summary: string;
  readonly request?: z.ZodType;
  /** Of the request, when it is no JSON. */
  readonly form?: true;
  readonly response?: z.ZodType;
  readonly status?: number;
  /** Content type of a streamed answer, when the request asks for one. */
  readonly stream?: 'text/event-stream' | 'application/x-ndjson';
  readonly event?: z.ZodType;
  /** Open to everybody: no key. */
  readonly isOpen?: true;
  readonly query?: Readonly<Record<string, string>>;
}

const SSE = { stream: 'text/event-stream' } as const;
const LINES = { stream: 'application/x-ndjson' } as const;
const ResponseEvent = z.looseObject({ type: z.string(), sequence_number: z.number().int() });
const MessageEvent = z.looseObject({ type: z.string() });
const TranscriptionForm = z.object({
  file: z.string().meta({ contentMediaType: 'application/octet-stream', description: 'The recording.' }),
  model: z.string().optional(),
  language: z.string().optional(),
  response_format: z.enum(['json', 'text', 'srt', 'verbose_json', 'vtt']).optional(),
});
const Version = z.object({ version: z.string() });
const OllamaEmbedding = z.object({ embedding: z.array(z.number()) });
const Pulled = z.object({ status: z.string() });
const Nothing = z.looseObject({});

export const routes: readonly DocumentedRoute[] = [
  {
    method: 'post',
    path: '/v1/chat/completions',
    api: 'OpenAI',
    operationId: 'createChatCompletion',
    summary: 'Answer a conversation',
    request: openai.ChatCompletionRequest,
    response: openai.ChatCompletion,
    ...SSE,
    event: openai.ChatCompletionChunk,
  },
  {
    method: 'post',
    path: '/v1/responses',
    api: 'OpenAI',
    operationId: 'createResponse',
    summary: 'Answer a conversation (Responses, without a store)',
    request: responses.ResponseRequest,
    response: responses.ResponseObject,
    ...SSE,
    event: ResponseEvent,
  },
  {
    method: 'post',
    path: '/v1/completions',
    api: 'OpenAI',
    operationId: 'createCompletion',
    summary: 'Continue a text',
    request: openai.CompletionRequest,
    response: openai.Completion,
    ...SSE,
    event: openai.Completion,
  },
  {
    method: 'post',
    path: '/v1/embeddings',
    api: 'OpenAI',
    operationId: 'createEmbeddings',
    summary: 'Turn texts into vectors',
    request: openai.EmbeddingRequest,
    response: openai.EmbeddingList,
  },
  {
    method: 'post',
    path: '/v1/rerank',
    api: 'OpenAI',
    operationId: 'rerank',
    summary: 'Order documents by how well they answer a query',
    request: openai.RerankRequest,
    response: openai.RerankResult,
  },
  {
    method: 'post',
    path: '/v1/audio/transcriptions',
    api: 'OpenAI',
    operationId: 'createTranscription',
    summary: 'Write down what is said in a recording',
    request: TranscriptionForm,
    form: true,
    response: openai.Transcription,
  },
  {
    method: 'get',
    path: '/v1/models',
    api: 'OpenAI',
    operationId: 'listModels',
    summary: "Models of every connected node (in Anthropic's shape when anthropic-version is sent)",
    response: openai.ModelList,
  },
  {
    method: 'get',
    path: '/v1/models/{id}',
    api: 'OpenAI',
    operationId: 'getModel',
    summary: 'One model; its id may contain slashes and colons',
    response: openai.ModelEntry,
  },

  {
    method: 'post',
    path: '/v1/jobs',
    api: 'Jobs',
    operationId: 'submitJob',
    summary: 'Ask now, fetch the answer later: the body of a chat completion, a completion or embeddings',
    request: Nothing,
    response: Nothing,
    status: 202,
  },
  {
    method: 'get',
    path: '/v1/jobs/{id}',
    api: 'Jobs',
    operationId: 'getJob',
    summary: 'How a job is doing, and its answer',
    response: Nothing,
  },
  {
    method: 'post',
    path: '/v1/jobs/{id}/cancel',
    api: 'Jobs',
    operationId: 'cancelJob',
    summary: 'Stop a job',
    response: Nothing,
  },

  {
    method: 'post',
    path: '/v1/messages',
    api: 'Anthropic',
    operationId: 'createMessage',
    summary: 'Answer a conversation',
    request: anthropic.MessagesRequest,
    response: anthropic.Message,
    ...SSE,
    event: MessageEvent,
  },
  {
    method: 'post',
    path: '/v1/messages/count_tokens',
    api: 'Anthropic',
    operationId: 'countTokens',
    summary: 'About how many tokens a prompt has',
    request: anthropic.CountTokensRequest,
    response: anthropic.CountTokensResult,
  },

  {
    method: 'post',
    path: '/api/chat',
    api: 'Ollama',
    operationId: 'ollamaChat',
    summary: 'Answer a conversation; without messages, load the model',
    request: ollama.OllamaChatRequest,
    response: ollama.OllamaChatLine,
    ...LINES,
    event: ollama.OllamaChatLine,
  },
  {
    method: 'post',
    path: '/api/generate',
    api: 'Ollama',
    operationId: 'ollamaGenerate',
    summary: 'Answer a prompt; without one, load the model',
    request: ollama.OllamaGenerateRequest,
    response: ollama.OllamaGenerateLine,
    ...LINES,
    event: ollama.OllamaGenerateLine,
  },
  {
    method: 'post',
    path: '/api/embed',
    api: 'Ollama',
    operationId: 'ollamaEmbed',
    summary: 'Turn texts into vectors',
    request: ollama.OllamaEmbedRequest,
    response: ollama.OllamaEmbedResult,
  },
  {
    method: 'post',
    path: '/api/embeddings',
    api: 'Ollama',
    operationId: 'ollamaEmbeddings',
    summary: 'Turn one text into a vector',
    request: ollama.OllamaEmbeddingsRequest,
    response: OllamaEmbedding,
  },
  {
    method: 'get',
    path: '/api/tags',
    api: 'Ollama',
    operationId: 'ollamaTags',
    summary: 'Models of every connected node',
    response: ollama.OllamaTags,
  },
  {
    method: 'get',
    path: '/api/ps',
    api: 'Ollama',
    operationId: 'ollamaPs',
    summary: "Models that are in some node's memory",
    response: ollama.OllamaPs,
  },
  {
    method: 'post',
    path: '/api/show',
    api: 'Ollama',
    operationId: 'ollamaShow',
    summary: 'What is known of a model',
    request: ollama.OllamaNamedRequest,
    response: ollama.OllamaShow,
  },
  {
    method: 'post',
    path: '/api/pull',
    api: 'Ollama',
    operationId: 'ollamaPull',
    summary: 'Bring a model onto the node with the most room (operators); nothing to do when a node has it',
    request: ollama.OllamaNamedRequest,
    response: Pulled,
  },
  {
    method: 'delete',
    path: '/api/delete',
    api: 'Ollama',
    operationId: 'ollamaDelete',
    summary: 'Take a model off every node that has it (operators)',
    request: ollama.OllamaNamedRequest,
  },
  {
    method: 'get',
    path: '/api/version',
    api: 'Ollama',
    operationId: 'ollamaVersion',
    summary: 'The Ollama whose API this is',
    response: Version,
    isOpen: true,
  },

  {
    method: 'get',
    path: '/api/v1/status',
    api: 'Management',
    operationId: 'getStatus',
    summary: 'The fleet: nodes, models, what runs and waits',
    response: admin.FleetStatus,
  },
  {
    method: 'get',
    path: '/api/v1/requests/{id}/explanation',
    api: 'Management',
    operationId: 'explainRequest',
    summary: 'Why a request ran where it ran',
    response: admin.Explanation,
  },
  {
    method: 'post',
    path: '/api/v1/enroll',
    api: 'Management',
    operationId: 'enrollNode',
    summary: 'A machine joins, with a registration token',
    request: admin.EnrollRequest,
    response: admin.EnrollResponse,
    isOpen: true,
  },
  {
    method: 'get',
    path: '/api/v1/keys',
    api: 'Management',
    operationId: 'listKeys',
    summary: 'API keys',
    response: z.array(admin.KeyView),
  },
  {
    method: 'post',
    path: '/api/v1/keys',
    api: 'Management',
    operationId: 'createKey',
    summary: 'A new API key; this answer is the only time it is shown',
    request: admin.NewKey,
    response: admin.IssuedKey,
    status: 201,
  },
  {
    method: 'patch',
    path: '/api/v1/keys/{id}',
    api: 'Management',
    operationId: 'changeKey',
    summary: 'Change what a key may do',
    request: admin.KeyChange,
    response: admin.KeyView,
  },
  {
    method: 'post',
    path: '/api/v1/keys/{id}/rotate',
    api: 'Management',
    operationId: 'rotateKey',
    summary: 'Replace a key',
    request: admin.KeyRotation,
    response: admin.IssuedKey,
  },
  {
    method: 'delete',
    path: '/api/v1/keys/{id}',
    api: 'Management',
    operationId: 'revokeKey',
    summary: 'Revoke a key',
    response: Nothing,
  },
  {
    method: 'get',
    path: '/api/v1/tokens',
    api: 'Management',
    operationId: 'listTokens',
    summary: 'Registration tokens',
    response: z.array(admin.TokenView),
  },
  {
    method: 'post',
    path: '/api/v1/tokens',
    api: 'Management',
    operationId: 'createToken',
    summary: 'A new registration token',
    request: admin.NewToken,
    response: admin.IssuedToken,
    status: 201,
  },
  {
    method: 'delete',
    path: '/api/v1/tokens/{id}',
    api: 'Management',
    operationId: 'revokeToken',
    summary: 'Revoke a registration token',
    response: Nothing,
  },
  {
    method: 'get',
    path: '/api/v1/nodes',
    api: 'Management',
    operationId: 'listNodes',
    summary: 'Machines that have joined',
    response: z.array(admin.NodeEntry),
  },
  {
    method: 'patch',
    path: '/api/v1/nodes/{id}',
    api: 'Management',
    operationId: 'changeNode',
    summary: 'Rename, regroup or drain a node, pin its models, set its gaming mode',
    request: admin.NodeChange,
    response: Nothing,
  },
  {
    method: 'post',
    path: '/api/v1/nodes/{id}/approve',
    api: 'Management',
    operationId: 'approveNode',
    summary: 'Let a node in',
    response: Nothing,
  },
  {
    method: 'post',
    path: '/api/v1/nodes/{id}/revoke',
    api: 'Management',
    operationId: 'revokeNode',
    summary: 'Shut a node out',
    response: Nothing,
  },
  {
    method: 'delete',
    path: '/api/v1/nodes/{id}',
    api: 'Management',
    operationId: 'removeNode',
    summary: 'Forget a node',
    response: Nothing,
  },
  {
    method: 'post',
    path: '/api/v1/nodes/{id}/commands',
    api: 'Management',
    operationId: 'commandNode',
    summary: "Load, unload, pull or delete one of a node's models, and watch it",
    request: admin.NodeCommand,
    ...LINES,
    event: admin.NodeCommandEvent,
  },
  {
    method: 'delete',
    path: '/api/v1/nodes/{id}/commands/{command}',
    api: 'Management',
    operationId: 'cancelCommand',
    summary: 'Stop a load or a pull',
    status: 204,
  },
  {
    method: 'get',
    path: '/api/v1/audit',
    api: 'Management',
    operationId: 'listAudit',
    summary: 'Who changed what',
    response: z.array(admin.AuditEntry),
    query: { limit: 'At most so many, the newest first.', before: 'Only those before this number.' },
  },
  {
    method: 'get',
    path: '/api/v1/audit/verify',
    api: 'Management',
    operationId: 'verifyAudit',
    summary: 'Is the audit log whole?',
    response: admin.AuditVerdict,
    query: { expected: 'Hash of the last entry, as it was noted elsewhere.' },
  },

  { method: 'get', path: '/livez', api: 'Health', operationId: 'isAlive', summary: 'The process answers', isOpen: true },
  {
    method: 'get',
    path: '/readyz',
    api: 'Health',
    operationId: 'isReady',
    summary: 'Redis is there and it is not shutting down',
    isOpen: true,
  },
];
