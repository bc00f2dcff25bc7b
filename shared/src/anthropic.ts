import { z } from 'zod';

/** Anthropic's Messages API, read as loosely as OpenAI's: blocks, tools and fields that nobody here knows are no reason to refuse. */
export const AnthropicBlock = z.looseObject({
  type: z.string(),
  text: z.string().nullish(),
  id: z.string().nullish(),
  name: z.string().nullish(),
  input: z.unknown().optional(),
  tool_use_id: z.string().nullish(),
  is_error: z.boolean().nullish(),
});
export type AnthropicBlock = z.infer<typeof AnthropicBlock>;

const Content = z.union([z.string(), z.array(AnthropicBlock)]);

export const AnthropicMessage = z.looseObject({ role: z.string().min(1), content: Content });
export type AnthropicMessage = z.infer<typeof AnthropicMessage>;

export const AnthropicTool = z.looseObject({
  type: z.string().nullish(),
  name: z.string().nullish(),
  description: z.string().nullish(),
  input_schema: z.record(z.string(), z.unknown()).nullish(),
});
export type AnthropicTool = z.infer<typeof AnthropicTool>;

export const CountTokensRequest = z.looseObject({
  model: z.string().min(1).max(512).optional(),
  messages: z.array(AnthropicMessage).min(1),
  system: Content.nullish(),
  tools: z.array(AnthropicTool).nullish(),
});
export type CountTokensRequest = z.infer<typeof CountTokensRequest>;

const OutputFormat = z.looseObject({ type: z.string(), schema: z.record(z.string(), z.unknown()).nullish() }).nullish();

export const MessagesRequest = z.looseObject({
  ...CountTokensRequest.shape,
  max_tokens: z.number().int().positive().optional(),
  stream: z.boolean().nullish(),
  tool_choice: z
    .looseObject({ type: z.string(), name: z.string().nullish(), disable_parallel_tool_use: z.boolean().nullish() })
    .nullish(),
  stop_sequences: z.array(z.string()).nullish(),
  temperature: z.number().nullish(),
  top_p: z.number().nullish(),
  top_k: z.number().nullish(),
  metadata: z.looseObject({ user_id: z.string().nullish() }).nullish(),
  thinking: z.looseObject({ type: z.string(), budget_tokens: z.unknown().optional(), display: z.unknown().optional() }).nullish(),
  output_config: z
    .looseObject({ effort: z.string().nullish(), format: OutputFormat, task_budget: z.unknown().optional() })
    .nullish(),
  output_format: OutputFormat,
  // Read by nobody here, and named so that they have a row in the table of fields.
  cache_control: z.unknown().optional(),
  container: z.unknown().optional(),
  context_management: z.unknown().optional(),
  inference_geo: z.unknown().optional(),
  mcp_servers: z.unknown().optional(),
  service_tier: z.unknown().optional(),
  speed: z.unknown().optional(),
});
export type MessagesRequest = z.infer<typeof MessagesRequest>;

export const AnthropicUsage = z.looseObject({ input_tokens: z.number().int(), output_tokens: z.number().int() });

export const Message = z.looseObject({
  id: z.string(),
  type: z.literal('message'),
  role: z.literal('assistant'),
  model: z.string(),
  content: z.array(z.looseObject({ type: z.string() })),
  stop_reason: z.string().nullable(),
  stop_sequence: z.string().nullable(),
  usage: AnthropicUsage,
});
export type Message = z.infer<typeof Message>;

export const CountTokensResult = z.looseObject({ input_tokens: z.number().int() });

export const AnthropicError = z.object({
  type: z.literal('error'),
  error: z.object({ type: z.string(), message: z.string() }),
  request_id: z.string().nullable(),
});
export type AnthropicError = z.infer<typeof AnthropicError>;

export const AnthropicModel = z.object({
  type: z.literal('model'),
  id: z.string(),
  display_name: z.string(),
  created_at: z.string(),
  max_input_tokens: z.number().int().nullable(),
  max_tokens: z.number().int().nullable(),
  capabilities: z.null(),
});

export const AnthropicModelList = z.object({
  data: z.array(AnthropicModel),
  has_more: z.boolean(),
  first_id: z.string().nullable(),
  last_id: z.string().nullable(),
});
export type AnthropicModelList = z.infer<typeof AnthropicModelList>;
