import { z } from 'zod';

/**
 * Requests are read loosely: only what routing needs is named here, everything else passes through to the runtime untouched.
 * A field that we do not know is never a reason to refuse (clients send `store`, `parallel_tool_calls`, their own inventions).
 */
const ContentPart = z.looseObject({ type: z.string() });

export const ChatMessage = z.looseObject({
  role: z.string().min(1),
  content: z.union([z.string(), z.array(ContentPart), z.null()]).optional(),
});

const positiveTokens = z.number().int().positive();

export const ChatCompletionRequest = z.looseObject({
  model: z.string().min(1).max(512).optional(),
  messages: z.array(ChatMessage).min(1),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  max_tokens: positiveTokens.nullish(),
  max_completion_tokens: positiveTokens.nullish(),
  n: z.number().int().positive().nullish(),
  tools: z.array(z.looseObject({})).nullish(),
  tool_choice: z.union([z.string(), z.looseObject({})]).nullish(),
  response_format: z.looseObject({ type: z.string() }).nullish(),
  user: z.string().nullish(),
  // Read by the engine alone, or by nobody here; named so that they have a row in the table of fields.
  audio: z.unknown().optional(),
  frequency_penalty: z.unknown().optional(),
  function_call: z.unknown().optional(),
  functions: z.unknown().optional(),
  logit_bias: z.unknown().optional(),
  logprobs: z.unknown().optional(),
  metadata: z.unknown().optional(),
  modalities: z.unknown().optional(),
  parallel_tool_calls: z.unknown().optional(),
  prediction: z.unknown().optional(),
  presence_penalty: z.unknown().optional(),
  prompt_cache_key: z.unknown().optional(),
  prompt_cache_retention: z.unknown().optional(),
  reasoning_effort: z.unknown().optional(),
  safety_identifier: z.unknown().optional(),
  seed: z.unknown().optional(),
  service_tier: z.unknown().optional(),
  stop: z.unknown().optional(),
  store: z.unknown().optional(),
  temperature: z.unknown().optional(),
  top_logprobs: z.unknown().optional(),
  top_p: z.unknown().optional(),
  verbosity: z.unknown().optional(),
  web_search_options: z.unknown().optional(),
});
export type ChatCompletionRequest = z.infer<typeof ChatCompletionRequest>;

export type Prompt = string | string[] | number[] | number[][];

/** Fields that may hold a million short entries; their schemas look at each of them once and stop at the first wrong one. */
export const LONG_LISTS = z.registry<Record<string, never>>();

const integer = { type: 'integer' };
const PROMPT_SHAPES = ['string', 'string[]', 'integer[]', 'integer[][]'] as const;

/** Text, or several texts, or tokens, which only some runtimes take. */
const Prompt = z
  .unknown()
  .superRefine((value, context) => {
    const path = wrongEntry(value);
    if (path) context.addIssue({ code: 'custom', path, message: `expected ${PROMPT_SHAPES.join(' or ')}` });
  })
  .meta({
    anyOf: [
      { type: 'string' },
      ...[{ type: 'string' }, integer, { type: 'array', items: integer }].map((items) => ({ type: 'array', items })),
    ],
  }) as unknown as z.ZodType<Prompt>;
LONG_LISTS.add(Prompt, {});

/** Where a value stops being a prompt; null when it is one. All entries are of the first one's kind. */
const wrongEntry = (value: unknown): number[] | null => {
  if (typeof value === 'string') return null;
  if (!Array.isArray(value)) return [];
  const isAlike = typeof value[0] === 'string' ? isText : Array.isArray(value[0]) ? isTokens : Number.isInteger;
  const wrong = value.findIndex((entry) => !isAlike(entry));
  return wrong === -1 ? null : [wrong];
};

const isText = (value: unknown): boolean => typeof value === 'string';
const isTokens = (value: unknown): boolean => Array.isArray(value) && value.every(Number.isInteger);

export const CompletionRequest = z.looseObject({
  model: z.string().min(1).max(512).optional(),
  prompt: Prompt,
  suffix: z.string().nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  max_tokens: positiveTokens.nullish(),
  user: z.string().nullish(),
  best_of: z.unknown().optional(),
  echo: z.unknown().optional(),
  frequency_penalty: z.unknown().optional(),
  logit_bias: z.unknown().optional(),
  logprobs: z.unknown().optional(),
  n: z.unknown().optional(),
  presence_penalty: z.unknown().optional(),
  seed: z.unknown().optional(),
  stop: z.unknown().optional(),
  temperature: z.unknown().optional(),
  top_p: z.unknown().optional(),
});
export type CompletionRequest = z.infer<typeof CompletionRequest>;

export const EmbeddingRequest = z.looseObject({
  model: z.string().min(1).max(512).optional(),
  input: Prompt,
  encoding_format: z.enum(['float', 'base64']).nullish(),
  dimensions: z.number().int().positive().nullish(),
  user: z.string().nullish(),
});
export type EmbeddingRequest = z.infer<typeof EmbeddingRequest>;

/** Cohere's and Jina's shape, which llama-server and vLLM speak. */
export const RerankRequest = z.looseObject({
  model: z.string().min(1).max(512).optional(),
  query: z.string().min(1),
  documents: z.array(z.union([z.string(), z.looseObject({ text: z.string() })])).min(1),
  top_n: z.number().int().positive().nullish(),
});
export type RerankRequest = z.infer<typeof RerankRequest>;

const count = z.number().int().nonnegative();

export const TokenUsage = z.looseObject({ prompt_tokens: count, completion_tokens: count, total_tokens: count });

const ToolCall = z.looseObject({
  id: z.string(),
  type: z.literal('function'),
  function: z.looseObject({ name: z.string(), arguments: z.string() }),
});

/** What a client gets. These say what we promise; fields beyond them come from the runtime and stay. */
export const ChatCompletion = z.looseObject({
  id: z.string(),
  object: z.literal('chat.completion'),
  created: z.number().int(),
  model: z.string(),
  choices: z.array(
    z.looseObject({
      index: count,
      message: z.looseObject({
        role: z.literal('assistant'),
        content: z.string().nullable(),
        refusal: z.string().nullable(),
        tool_calls: z.array(ToolCall).optional(),
        reasoning_content: z.string().optional(),
      }),
      finish_reason: z.string().nullable(),
      logprobs: z.unknown().optional(),
    }),
  ),
  usage: TokenUsage.optional(),
});

export const ChatCompletionChunk = z.looseObject({
  id: z.string(),
  object: z.literal('chat.completion.chunk'),
  created: z.number().int(),
  model: z.string(),
  choices: z.array(z.looseObject({ index: count, delta: z.looseObject({}), finish_reason: z.string().nullable() })),
  usage: TokenUsage.nullish(),
});

export const Completion = z.looseObject({
  id: z.string(),
  object: z.literal('text_completion'),
  created: z.number().int(),
  model: z.string(),
  choices: z.array(
    z.looseObject({ index: count, text: z.string(), finish_reason: z.string().nullable(), logprobs: z.unknown().optional() }),
  ),
  usage: TokenUsage.optional(),
});

export const EmbeddingList = z.looseObject({
  object: z.literal('list'),
  model: z.string(),
  data: z.array(
    z.looseObject({ object: z.literal('embedding'), index: count, embedding: z.union([z.array(z.number()), z.string()]) }),
  ),
  usage: z.looseObject({ prompt_tokens: count, total_tokens: count }),
});
export type EmbeddingList = z.infer<typeof EmbeddingList>;

export const RerankResult = z.looseObject({
  model: z.string().optional(),
  results: z.array(z.looseObject({ index: count, relevance_score: z.number() })),
});

export const Transcription = z.looseObject({ text: z.string() });

/** All four keys are always there; OpenAI's own schema requires them. */
export const ErrorBody = z.object({
  error: z.object({ message: z.string(), type: z.string(), param: z.string().nullable(), code: z.string().nullable() }),
});
export type ErrorBody = z.infer<typeof ErrorBody>;

/** One model in `GET /v1/models`: OpenAI's four keys, then what clients and people like to know. */
export const ModelEntry = z.object({
  id: z.string(),
  object: z.literal('model'),
  created: z.number().int(),
  owned_by: z.string(),
  name: z.string(),
  /** One number under the three names that clients look for. */
  context_length: z.number().int().nullable(),
  max_context_length: z.number().int().nullable(),
  max_model_len: z.number().int().nullable(),
  capabilities: z.array(z.string()),
  warm: z.boolean(),
  simulated: z.boolean(),
  nodes: z.array(z.string()),
  /** Of a provider's model: who answers, and where that is. `place: home` does not leave the private network. */
  provider: z.string().optional(),
  place: z.enum(['cloud', 'home']).optional(),
  warmStatus: z.enum(['warm', 'cold', 'remote']).optional(),
  /** Money per million tokens; null when not known. */
  input_price: z.number().nullable().optional(),
  output_price: z.number().nullable().optional(),
});
export type ModelEntry = z.infer<typeof ModelEntry>;

export const ModelList = z.object({ object: z.literal('list'), data: z.array(ModelEntry) });
export type ModelList = z.infer<typeof ModelList>;
