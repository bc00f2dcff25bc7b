import type { OllamaChatRequest, OllamaEmbeddingsRequest, OllamaEmbedRequest, OllamaGenerateRequest } from '@lai/shared/ollama';
import { type FieldTable, ignored, inside, refused, type Treatment, translated } from '../openai/field-table.ts';

/** A row for every field that the schema names; the type says when one is missing. */
type Rows<Request> = Record<keyof { [Key in keyof Request as string extends Key ? never : Key]: true }, Treatment>;

/** Options that engines know by the same name on their OpenAI routes. */
export const PASSED_OPTIONS = [
  ...['temperature', 'top_p', 'top_k', 'min_p', 'typical_p', 'seed', 'stop', 'presence_penalty', 'frequency_penalty'],
  ...['repeat_penalty', 'repeat_last_n'],
] as const;

const OWNERS = "it would make a node load its model anew; that is its owner's to choose";
const IGNORED_OPTIONS: Readonly<Record<string, string>> = {
  num_ctx: OWNERS,
  num_batch: OWNERS,
  num_gpu: OWNERS,
  main_gpu: OWNERS,
  num_thread: OWNERS,
  use_mmap: OWNERS,
  draft_num_predict: OWNERS,
  num_keep: 'a prompt that is too long is refused',
};

const options: Record<string, Treatment> = {
  options: inside,
  ...Object.fromEntries(PASSED_OPTIONS.map((name) => [`options.${name}`, translated('the same name')])),
  'options.num_predict': translated('max_tokens'),
  ...Object.fromEntries(Object.entries(IGNORED_OPTIONS).map(([name, why]) => [`options.${name}`, ignored(why)])),
};

const KEEP_ALIVE = ignored("except without a prompt, where 0 unloads the model: how long a model stays is its owner's to choose");

const inference = {
  model: translated('a name of the fleet, an alias or auto'),
  stream: translated('engines are always asked to stream'),
  format: translated('response_format; demands the capability json'),
  think: translated('reasoning_effort, for models that can think'),
  keep_alive: KEEP_ALIVE,
  logprobs: ignored('lines have no log probabilities here'),
  top_logprobs: ignored('lines have no log probabilities here'),
  truncate: ignored('a prompt that is too long is refused'),
  shift: ignored('an answer ends where the context does'),
} satisfies Record<string, Treatment>;

const chat: Rows<OllamaChatRequest> & Record<string, Treatment> = {
  ...inference,
  messages: translated('thinking goes back beside the calls it led to; results find their calls by id or name'),
  tools: translated('demands the capability tools'),
  ...options,
  options: inside,
};

export const OLLAMA_CHAT_FIELDS: FieldTable = { rows: chat, unknown: 'ignored' };

const generate: Rows<OllamaGenerateRequest> & Record<string, Treatment> = {
  ...inference,
  prompt: translated('the message of the user, or with raw or suffix as it is'),
  suffix: translated('a plain completion'),
  system: translated('the system message'),
  images: translated('parts of the message'),
  raw: translated('a plain completion'),
  template: refused("a model's template is its owner's to choose. Use raw, with the whole prompt."),
  context: refused('Lai keeps no conversations. Send the whole conversation to /api/chat.'),
  ...options,
  options: inside,
};

export const OLLAMA_GENERATE_FIELDS: FieldTable = { rows: generate, unknown: 'ignored' };

const embed: Rows<OllamaEmbedRequest> & Record<string, Treatment> = {
  model: translated('a name of the fleet, an alias or auto'),
  input: translated(),
  truncate: translated('unless it is false, an input that is too long is cut'),
  dimensions: translated('longer vectors are cut and normalised again; shorter ones are an error'),
  keep_alive: KEEP_ALIVE,
  options: ignored('engines take none for embeddings'),
};

export const OLLAMA_EMBED_FIELDS: FieldTable = { rows: embed, unknown: 'ignored' };

const embeddings: Rows<OllamaEmbeddingsRequest> & Record<string, Treatment> = {
  model: translated('a name of the fleet, an alias or auto'),
  prompt: translated('the input'),
  keep_alive: KEEP_ALIVE,
  options: ignored('engines take none for embeddings'),
};

export const OLLAMA_EMBEDDINGS_FIELDS: FieldTable = { rows: embeddings, unknown: 'ignored' };
