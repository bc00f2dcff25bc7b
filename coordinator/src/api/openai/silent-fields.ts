/**
 * Clients written in Go send every field of a request, with its zero value where nobody set it. Zero says something in some fields
 * (`temperature`, `seed`, `top_k`, `prompt`) and nothing in these.
 */
const ZERO_SAYS_NOTHING: ReadonlySet<string> = new Set([
  ...[
    'model',
    'name',
    'user',
    'suffix',
    'system',
    'template',
    'instructions',
    'reasoning_effort',
    'encoding_format',
    'service_tier',
  ],
  ...['prompt_cache_key', 'prompt_cache_retention', 'safety_identifier', 'verbosity', 'previous_response_id', 'conversation'],
  ...[
    'tools',
    'tool_choice',
    'functions',
    'function_call',
    'modalities',
    'stop',
    'stop_sequences',
    'images',
    'context',
    'include',
  ],
  ...[
    'response_format',
    'format',
    'text',
    'reasoning',
    'thinking',
    'output_config',
    'output_format',
    'stream_options',
    'logit_bias',
  ],
  ...['metadata', 'options', 'audio', 'prediction', 'web_search_options', 'container', 'context_management', 'mcp_servers'],
  ...['max_tokens', 'max_completion_tokens', 'max_output_tokens', 'max_tool_calls', 'n', 'best_of', 'dimensions', 'top_n'],
]);
/** Here 0 and false say something, and only an empty text does not. */
const EMPTY_TEXT_SAYS_NOTHING: ReadonlySet<string> = new Set(['keep_alive', 'think']);

/** Is a top-level field the same as none at all? Null is, everywhere; so is what is empty where emptiness means nothing. */
export const saysNothing = (name: string, value: unknown): boolean =>
  value === null || (value === '' && EMPTY_TEXT_SAYS_NOTHING.has(name)) || (ZERO_SAYS_NOTHING.has(name) && isZero(value));

const isZero = (value: unknown): boolean => {
  if (typeof value === 'object' && value !== null)
    return Array.isArray(value) ? value.length === 0 : Object.keys(value).length === 0;
  return value === '' || value === 0;
};
