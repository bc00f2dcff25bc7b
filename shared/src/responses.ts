import { z } from 'zod';

/**
 * OpenAI's Responses API, read loosely: clients send tools, items and fields that nobody here can use, and none of them is a reason to
 * refuse. What is named here is what the translation to chat reads.
 */
export const ResponsePart = z.looseObject({ type: z.string() });

/** What a tool that the client ran returned. */
export const ResponseOutput = z.union([z.string(), z.array(ResponsePart)]).nullish();

/** A message, a function call, its output, a reference to an earlier item, reasoning, or something newer. */
export const ResponseItem = z.looseObject({
  type: z.string().nullish(),
  id: z.string().nullish(),
  role: z.string().nullish(),
  content: z.union([z.string(), z.array(ResponsePart)]).nullish(),
  call_id: z.string().nullish(),
  name: z.string().nullish(),
  namespace: z.string().nullish(),
  arguments: z.string().nullish(),
  input: z.string().nullish(),
  /** Of a call that nobody here knows, anything. */
  output: z.unknown().optional(),
  summary: z.unknown().optional(),
});
export type ResponseItem = z.infer<typeof ResponseItem>;

export const ResponseTool = z.looseObject({
  type: z.string(),
  name: z.string().nullish(),
  description: z.string().nullish(),
  parameters: z.record(z.string(), z.unknown()).nullish(),
  strict: z.boolean().nullish(),
  tools: z.array(z.looseObject({ type: z.string().nullish(), name: z.string().nullish() })).nullish(),
});
export type ResponseTool = z.infer<typeof ResponseTool>;

export const ResponseRequest = z.looseObject({
  model: z.string().min(1).max(512).optional(),
  input: z.union([z.string(), z.array(ResponseItem)]),
  instructions: z.string().nullish(),
  stream: z.boolean().nullish(),
  store: z.boolean().nullish(),
  tools: z.array(ResponseTool).nullish(),
  tool_choice: z.union([z.string(), z.looseObject({ type: z.string(), name: z.string().nullish() })]).nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  max_output_tokens: z.number().int().positive().nullish(),
  temperature: z.number().nullish(),
  top_p: z.number().nullish(),
  text: z.looseObject({ format: z.looseObject({ type: z.string() }).nullish(), verbosity: z.unknown().optional() }).nullish(),
  reasoning: z
    .looseObject({
      effort: z.string().nullish(),
      summary: z.unknown().optional(),
      generate_summary: z.unknown().optional(),
    })
    .nullish(),
  prompt_cache_key: z.string().nullish(),
  previous_response_id: z.string().nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
  user: z.string().nullish(),
  // Read by nobody here, and named so that they have a row in the table of fields.
  background: z.unknown().optional(),
  context_management: z.unknown().optional(),
  conversation: z.unknown().optional(),
  include: z.unknown().optional(),
  max_tool_calls: z.unknown().optional(),
  moderation: z.unknown().optional(),
  prompt: z.unknown().optional(),
  prompt_cache_options: z.unknown().optional(),
  prompt_cache_retention: z.unknown().optional(),
  safety_identifier: z.unknown().optional(),
  service_tier: z.unknown().optional(),
  stream_options: z.unknown().optional(),
  top_logprobs: z.unknown().optional(),
  truncation: z.unknown().optional(),
});
export type ResponseRequest = z.infer<typeof ResponseRequest>;

/** What a client gets, streamed piece by piece or whole. */
export const ResponseObject = z.looseObject({
  id: z.string(),
  object: z.literal('response'),
  created_at: z.number(),
  status: z.enum(['in_progress', 'completed', 'incomplete', 'failed']),
  error: z.looseObject({ code: z.string(), message: z.string() }).nullable(),
  incomplete_details: z.looseObject({ reason: z.string() }).nullable(),
  model: z.string(),
  output: z.array(z.looseObject({ type: z.string(), id: z.string() })),
  usage: z
    .looseObject({ input_tokens: z.number().int(), output_tokens: z.number().int(), total_tokens: z.number().int() })
    .optional(),
});
export type ResponseObject = z.infer<typeof ResponseObject>;
