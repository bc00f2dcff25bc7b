import { LONG_LISTS } from '@lai/shared/openai';
import { z } from 'zod';

/**
 * Keys that engines read and that our schemas do not name. Go's parser, and with it Ollama, takes them in any case; so a second
 * spelling is refused for all of them.
 */
const ENGINE_KEYS = [
  ...[
    'model',
    'models',
    'name',
    'messages',
    'prompt',
    'input',
    'suffix',
    'stream',
    'stream_options',
    'include_usage',
    'echo',
    'n',
  ],
  ...[
    'max_tokens',
    'max_completion_tokens',
    'min_tokens',
    'n_predict',
    'num_predict',
    'num_ctx',
    'seed',
    'stop',
    'stop_token_ids',
  ],
  ...['temperature', 'top_p', 'top_k', 'min_p', 'typical_p', 'frequency_penalty', 'presence_penalty', 'repeat_penalty'],
  ...['repetition_penalty', 'logit_bias', 'logprobs', 'top_logprobs', 'n_probs', 'best_of', 'use_beam_search', 'ignore_eos'],
  ...['response_format', 'json_schema', 'schema', 'strict', 'grammar', 'format', 'guided_json', 'guided_regex', 'guided_choice'],
  ...[
    'guided_grammar',
    'structured_outputs',
    'reasoning',
    'reasoning_effort',
    'reasoning_content',
    'effort',
    'think',
    'thinking',
  ],
  ...['tools', 'tool_choice', 'parallel_tool_calls', 'tool_calls', 'tool_call_id', 'tool_name', 'functions', 'function_call'],
  ...['function', 'arguments', 'parameters', 'description', 'type', 'id', 'index', 'role', 'content', 'text', 'refusal', 'user'],
  ...[
    'image',
    'images',
    'image_url',
    'url',
    'detail',
    'input_audio',
    'audio',
    'audio_url',
    'video_url',
    'data',
    'file',
    'file_data',
  ],
  ...[
    'file_id',
    'file_url',
    'filename',
    'system',
    'template',
    'raw',
    'context',
    'options',
    'keep_alive',
    'truncate',
    'dimensions',
  ],
  ...['encoding_format', 'query', 'documents', 'top_n', 'chat_template', 'chat_template_kwargs', 'add_generation_prompt'],
  ...['continue_final_message', 'cache_prompt', 'id_slot', 'lora', 'samplers', 'priority', 'adapters', 'draft_model', 'ttl'],
  ...['extra_body', 'mm_processor_kwargs', 'kv_transfer_params', 'request_id', 'cache_salt', 'shift', 'width', 'height', 'steps'],
] as const;

/** Under these keys stands what belongs to the client's tools or to nobody here: keys there mean what they mean to the client. */
const FOREIGN: ReadonlySet<string> = new Set([
  ...['arguments', 'parameters', 'input_schema', 'schema', 'guided_json', 'json', 'metadata', 'client_metadata', 'logit_bias'],
  ...['chat_template_kwargs', 'mm_processor_kwargs', 'kv_transfer_params', 'vllm_xargs', 'variables', 'headers'],
  // Inside of a JSON schema.
  ...['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas', 'default', 'const', 'enum', 'examples'],
]);
/** Somebody else's JSON, which reaches the engine in the digits and the order in which it was written. */
const KEPT: ReadonlySet<string> = new Set(['arguments', 'parameters', 'input_schema', 'schema', 'format']);
/** A call's arguments in Anthropic's words, when it is an object; a list is the items of a Responses request. */
const INPUT = 'input';

export const isForeign = (key: string, isObject: boolean): boolean => FOREIGN.has(key) || (isObject && key === INPUT);

export const isKept = (key: string, isObject: boolean): boolean => KEPT.has(key) || (isObject && key === INPUT);

export interface KnownKeys {
  readonly exact: ReadonlySet<string>;
  readonly byFold: ReadonlyMap<string, string>;
  /** Top-level fields that may be lists of any number of texts or tokens. */
  readonly longLists: ReadonlySet<string>;
}

/**
 * The spelling that parsers who overlook case see: `ſ` (U+017F) is an s to them and the Kelvin sign (U+212A) a k. This folds a few
 * letters more than Go does, which refuses nothing that an honest client writes.
 */
export const folded = (key: string): string => key.toUpperCase().toLowerCase();

const known = new WeakMap<z.ZodType, KnownKeys>();

/** What the schema names, at any depth, and what engines read. Made once per schema. */
export const keysKnownTo = (schema: z.ZodType): KnownKeys => {
  const made = known.get(schema);
  if (made) return made;
  const exact = new Set<string>(ENGINE_KEYS);
  collect(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }), exact);
  const fields = schema instanceof z.ZodObject ? Object.entries(schema.shape) : [];
  const longLists = new Set(fields.filter(([, field]) => LONG_LISTS.has(field as z.ZodType)).map(([name]) => name));
  const keys = { exact, byFold: new Map([...exact].map((key) => [folded(key), key])), longLists };
  known.set(schema, keys);
  return keys;
};

const collect = (schema: unknown, into: Set<string>): void => {
  if (typeof schema !== 'object' || schema === null) return;
  for (const [name, inner] of Object.entries(schema)) {
    if (name === 'properties') for (const key of Object.keys(inner as object)) into.add(key);
    collect(inner, into);
  }
};
