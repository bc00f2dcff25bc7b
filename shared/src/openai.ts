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
  response_format: z.looseObject({ type: z.string() }).nullish(),
  user: z.string().nullish(),
});
export type ChatCompletionRequest = z.infer<typeof ChatCompletionRequest>;

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
  context_length: z.number().int().nullable(),
  max_model_len: z.number().int().nullable(),
  capabilities: z.array(z.string()),
  warm: z.boolean(),
  simulated: z.boolean(),
  nodes: z.array(z.string()),
});
export type ModelEntry = z.infer<typeof ModelEntry>;

export const ModelList = z.object({ object: z.literal('list'), data: z.array(ModelEntry) });
export type ModelList = z.infer<typeof ModelList>;
