import { z } from 'zod';

/** Ollama's own API, read as loosely as it reads itself. */
const Model = z.string().min(1).max(512);
const Options = z
  .looseObject({
    num_ctx: z.unknown().optional(),
    num_batch: z.unknown().optional(),
    num_gpu: z.unknown().optional(),
    main_gpu: z.unknown().optional(),
    num_thread: z.unknown().optional(),
    use_mmap: z.unknown().optional(),
    draft_num_predict: z.unknown().optional(),
    num_keep: z.unknown().optional(),
    num_predict: z.unknown().optional(),
    temperature: z.unknown().optional(),
    top_p: z.unknown().optional(),
    top_k: z.unknown().optional(),
    min_p: z.unknown().optional(),
    typical_p: z.unknown().optional(),
    seed: z.unknown().optional(),
    stop: z.unknown().optional(),
    presence_penalty: z.unknown().optional(),
    frequency_penalty: z.unknown().optional(),
    repeat_penalty: z.unknown().optional(),
    repeat_last_n: z.unknown().optional(),
  })
  .nullish();
/** Read by nobody here, and named so that they have a row in the table of fields. */
const Unread = {
  logprobs: z.unknown().optional(),
  top_logprobs: z.unknown().optional(),
  truncate: z.unknown().optional(),
  shift: z.unknown().optional(),
};
const Format = z.union([z.string(), z.record(z.string(), z.unknown())]).nullish();
const Think = z.union([z.boolean(), z.string()]).nullish();
const KeepAlive = z.union([z.string(), z.number()]).nullish();

export const OllamaMessage = z.looseObject({
  role: z.string().min(1),
  content: z.string().nullish(),
  images: z.array(z.string()).nullish(),
  tool_calls: z
    .array(
      z.looseObject({
        id: z.string().nullish(),
        function: z.looseObject({ name: z.string(), arguments: z.unknown().nullish() }),
      }),
    )
    .nullish(),
  tool_call_id: z.string().nullish(),
  /** Of a result: whose it is. */
  tool_name: z.string().nullish(),
  /** The older word for it. */
  name: z.string().nullish(),
  thinking: z.string().nullish(),
});
export type OllamaMessage = z.infer<typeof OllamaMessage>;

export const OllamaChatRequest = z.looseObject({
  model: Model,
  messages: z.array(OllamaMessage).nullish(),
  stream: z.boolean().nullish(),
  tools: z.array(z.looseObject({})).nullish(),
  format: Format,
  options: Options,
  think: Think,
  keep_alive: KeepAlive,
  ...Unread,
});
export type OllamaChatRequest = z.infer<typeof OllamaChatRequest>;

export const OllamaGenerateRequest = z.looseObject({
  model: Model,
  prompt: z.string().nullish(),
  suffix: z.string().nullish(),
  system: z.string().nullish(),
  images: z.array(z.string()).nullish(),
  stream: z.boolean().nullish(),
  raw: z.boolean().nullish(),
  template: z.unknown().optional(),
  context: z.unknown().optional(),
  format: Format,
  options: Options,
  think: Think,
  keep_alive: KeepAlive,
  ...Unread,
});
export type OllamaGenerateRequest = z.infer<typeof OllamaGenerateRequest>;

export const OllamaEmbedRequest = z.looseObject({
  model: Model,
  input: z.union([z.string(), z.array(z.string())]),
  truncate: z.boolean().nullish(),
  dimensions: z.number().int().positive().nullish(),
  keep_alive: KeepAlive,
  options: Options,
});
export type OllamaEmbedRequest = z.infer<typeof OllamaEmbedRequest>;

/** The older of the two: one text, one vector. */
export const OllamaEmbeddingsRequest = z.looseObject({
  model: Model,
  prompt: z.string(),
  keep_alive: KeepAlive,
  options: Options,
});
export type OllamaEmbeddingsRequest = z.infer<typeof OllamaEmbeddingsRequest>;

/** `name` is what older programs say. */
export const OllamaNamedRequest = z.looseObject({
  model: Model.optional(),
  name: Model.optional(),
  stream: z.boolean().nullish(),
});

const Details = z.object({
  parent_model: z.string(),
  format: z.string(),
  family: z.string(),
  families: z.array(z.string()),
  parameter_size: z.string(),
  quantization_level: z.string(),
});

export const OllamaTag = z.object({
  name: z.string(),
  model: z.string(),
  modified_at: z.string(),
  size: z.number().int(),
  digest: z.string(),
  details: Details,
  capabilities: z.array(z.string()),
});
export type OllamaTag = z.infer<typeof OllamaTag>;

export const OllamaTags = z.object({ models: z.array(OllamaTag) });

export const OllamaRunning = z.object({
  name: z.string(),
  model: z.string(),
  size: z.number().int(),
  digest: z.string(),
  details: Details,
  expires_at: z.string(),
  size_vram: z.number().int(),
  context_length: z.number().int(),
});

export const OllamaPs = z.object({ models: z.array(OllamaRunning) });

export const OllamaShow = z.looseObject({
  modelfile: z.string(),
  parameters: z.string(),
  template: z.string(),
  license: z.string(),
  modified_at: z.string(),
  details: Details,
  model_info: z.record(z.string(), z.unknown()),
  capabilities: z.array(z.string()),
});

const Durations = {
  total_duration: z.number().int().optional(),
  load_duration: z.number().int().optional(),
  prompt_eval_count: z.number().int().optional(),
  prompt_eval_duration: z.number().int().optional(),
  eval_count: z.number().int().optional(),
  eval_duration: z.number().int().optional(),
};

const Line = { model: z.string(), created_at: z.string(), done: z.boolean(), done_reason: z.string().optional(), ...Durations };

export const OllamaChatLine = z.looseObject({
  ...Line,
  message: z.looseObject({ role: z.literal('assistant'), content: z.string() }),
});
export const OllamaGenerateLine = z.looseObject({ ...Line, response: z.string() });
export const OllamaEmbedResult = z.looseObject({ model: z.string(), embeddings: z.array(z.array(z.number())) });
export const OllamaError = z.object({ error: z.string() });
