import type { ChatCompletionRequest, CompletionRequest, EmbeddingRequest } from '@lai/shared/openai';
import type { ResponseRequest } from '@lai/shared/responses';
import { type FieldTable, ignored, inside, passed, refused, type Treatment, translated } from './field-table.ts';

/** A row for every field that the schema names; the type says when one is missing. */
type Rows<Request> = Record<keyof { [Key in keyof Request as string extends Key ? never : Key]: true }, Treatment>;

const OLD_FUNCTIONS = 'it is deprecated and no engine here reads it. Use tools and tool_choice.';

const chat: Rows<ChatCompletionRequest> & Record<string, Treatment> = {
  model: translated('a name of the fleet, an alias or auto'),
  messages: translated('the role developer becomes system'),
  audio: refused('no engine here speaks. Leave it out, and ask for text.'),
  frequency_penalty: passed,
  function_call: refused(OLD_FUNCTIONS, ['none', 'auto']),
  functions: refused(OLD_FUNCTIONS),
  logit_bias: passed,
  logprobs: passed,
  max_completion_tokens: passed,
  max_tokens: passed,
  metadata: passed,
  modalities: passed,
  n: passed,
  parallel_tool_calls: passed,
  prediction: passed,
  presence_penalty: passed,
  prompt_cache_key: translated('names the conversation, and is passed'),
  prompt_cache_retention: passed,
  reasoning_effort: passed,
  response_format: translated('demands the capability json, and is passed'),
  safety_identifier: passed,
  seed: passed,
  service_tier: passed,
  stop: passed,
  store: passed,
  stream: translated('engines are always asked to stream'),
  stream_options: inside,
  'stream_options.include_usage': translated('usage is always counted, and said when asked for'),
  temperature: passed,
  tool_choice: translated('a named tool is the only one offered, and required; none offers no tools'),
  tools: translated('demands the capability tools, and is passed'),
  top_logprobs: passed,
  top_p: passed,
  user: translated('names the conversation, and is passed'),
  verbosity: passed,
  web_search_options: refused('nobody here searches the web. Leave it out, or offer a tool that does.'),
};

export const CHAT_FIELDS: FieldTable = { rows: chat, unknown: 'passed' };

const completion: Rows<CompletionRequest> & Record<string, Treatment> = {
  model: translated('a name of the fleet, an alias or auto'),
  prompt: passed,
  best_of: passed,
  echo: passed,
  frequency_penalty: passed,
  logit_bias: passed,
  logprobs: passed,
  max_tokens: passed,
  n: passed,
  presence_penalty: passed,
  seed: passed,
  stop: passed,
  stream: translated('engines are always asked to stream'),
  stream_options: inside,
  'stream_options.include_usage': translated('usage is always counted, and said when asked for'),
  suffix: passed,
  temperature: passed,
  top_p: passed,
  user: translated('names the conversation, and is passed'),
};

export const COMPLETION_FIELDS: FieldTable = { rows: completion, unknown: 'passed' };

const embedding: Rows<EmbeddingRequest> & Record<string, Treatment> = {
  model: translated('a name of the fleet, an alias or auto'),
  input: passed,
  dimensions: translated('longer vectors are cut and normalised again; shorter ones are an error'),
  encoding_format: translated('vectors come in the encoding asked for, whatever the engine gives'),
  user: translated('names the conversation, and is passed'),
};

export const EMBEDDING_FIELDS: FieldTable = { rows: embedding, unknown: 'passed' };

const NO_STORE = 'Lai keeps no conversations. Send the whole conversation as input (store: false makes most clients do so).';

const response: Rows<ResponseRequest> & Record<string, Treatment> = {
  model: translated('a name of the fleet, an alias or auto'),
  input: translated('items as messages; reasoning goes back beside the calls it led to'),
  background: refused('Lai answers while the client waits. Send the request to POST /v1/jobs for work that may take long.'),
  context_management: ignored('conversations are not shortened here'),
  conversation: refused(NO_STORE),
  include: ignored('the items have what there is; there is no encrypted reasoning'),
  instructions: translated('the first system message'),
  max_output_tokens: translated('max_tokens'),
  max_tool_calls: ignored('it limits tools that OpenAI runs'),
  metadata: translated('said back'),
  moderation: ignored('nothing is moderated here'),
  parallel_tool_calls: translated(),
  previous_response_id: refused(NO_STORE),
  prompt: refused('Lai keeps no prompts. Send its text as instructions or input.'),
  prompt_cache_key: translated('names the conversation'),
  prompt_cache_options: ignored('engines keep what they can'),
  prompt_cache_retention: ignored('engines keep what they can'),
  reasoning: inside,
  'reasoning.effort': translated('reasoning_effort, for models that can think'),
  'reasoning.summary': ignored('reasoning is given as it is'),
  'reasoning.generate_summary': ignored('reasoning is given as it is'),
  safety_identifier: ignored('it is for OpenAI'),
  service_tier: ignored('X-Lai-Priority says who may go first', ['auto', 'default']),
  store: translated('items are remembered for an hour'),
  stream: translated('engines are always asked to stream'),
  stream_options: ignored('nothing is padded here'),
  temperature: translated(),
  text: inside,
  'text.format': translated('response_format'),
  'text.verbosity': ignored('engines know no such thing', ['medium']),
  tool_choice: translated('a named tool is the only one offered, and required; none offers no tools'),
  tools: translated('functions, custom tools and namespaces; tools that OpenAI runs are ignored'),
  top_logprobs: ignored('responses have no log probabilities here'),
  top_p: translated(),
  truncation: ignored('a prompt that is too long is refused', ['disabled']),
  user: translated('names the conversation'),
};

export const RESPONSE_FIELDS: FieldTable = { rows: response, unknown: 'ignored' };
