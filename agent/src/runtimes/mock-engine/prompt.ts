import { countTokens } from './text.ts';

export type Fields = Readonly<Record<string, unknown>>;

export const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

/** What an answer depends on, read from any of the four request bodies (OpenAI chat, completions; Ollama chat, generate). */
export interface Prompt {
  /** Everything the model would read; seeds the answer. */
  readonly text: string;
  readonly lastUserText: string;
  readonly promptTokens: number;
  readonly maxTokens: number | null;
  readonly isStream: boolean;
  readonly wantsUsage: boolean;
  readonly wantsUsageInEveryChunk: boolean;
  readonly tools: readonly Fields[];
  /** `any` = some JSON object; a schema = an object of that shape; null = prose. */
  readonly json: 'any' | Fields | null;
  readonly imageCount: number;
}

/** OpenAI's two bodies. Fields that we do not know are ignored, as the engines do. */
export const promptOfOpenAi = (body: Fields): Prompt => {
  const read = Array.isArray(body['messages']) ? readMessages(body['messages']) : readPlain(body['prompt']);
  const streamOptions = isFields(body['stream_options']) ? body['stream_options'] : {};
  return {
    ...read,
    promptTokens: promptTokensOf(read),
    maxTokens: positive(body['max_completion_tokens']) ?? positive(body['max_tokens']),
    isStream: body['stream'] === true,
    wantsUsage: streamOptions['include_usage'] === true,
    wantsUsageInEveryChunk: streamOptions['continuous_usage_stats'] === true,
    tools: body['tool_choice'] === 'none' ? [] : toolsOf(body['tools']),
    json: jsonOf(body['response_format']),
  };
};

/** Ollama's two native bodies: streamed unless told otherwise, the limit inside `options`. */
export const promptOfOllama = (body: Fields): Prompt => {
  const isChat = Array.isArray(body['messages']);
  const read = isChat ? readMessages(body['messages'] as unknown[]) : readPlain(body['prompt']);
  const options = isFields(body['options']) ? body['options'] : {};
  const images = isChat ? read.imageCount : listOf(body['images']).length;
  return {
    ...read,
    imageCount: images,
    promptTokens: promptTokensOf({ text: read.text, imageCount: images }),
    maxTokens: positive(options['num_predict']),
    isStream: body['stream'] !== false,
    wantsUsage: true,
    wantsUsageInEveryChunk: false,
    tools: toolsOf(body['tools']),
    json: body['format'] === 'json' ? 'any' : isFields(body['format']) ? body['format'] : null,
  };
};

interface Read {
  readonly text: string;
  readonly lastUserText: string;
  readonly imageCount: number;
}

/** A guess that real engines are near to: an image costs some hundred tokens. */
const IMAGE_TOKENS = 256;

const promptTokensOf = (read: Omit<Read, 'lastUserText'>): number =>
  Math.max(1, countTokens(read.text) + read.imageCount * IMAGE_TOKENS);

const readMessages = (messages: readonly unknown[]): Read => {
  let text = '';
  let lastUserText = '';
  let imageCount = 0;
  for (const message of messages.filter(isFields)) {
    const content = textOf(message['content']);
    text += `${text === '' ? '' : '\n'}${content}`;
    if (message['role'] === 'user') lastUserText = content;
    imageCount += listOf(message['images']).length + listOf(message['content']).filter(isImagePart).length;
  }
  return { text, lastUserText, imageCount };
};

const readPlain = (prompt: unknown): Read => {
  const text = Array.isArray(prompt) ? prompt.filter((part) => typeof part === 'string').join('\n') : textOf(prompt);
  return { text, lastUserText: text, imageCount: 0 };
};

const textOf = (content: unknown): string => {
  if (typeof content === 'string') return content;
  return listOf(content)
    .filter(isFields)
    .map((part) => (typeof part['text'] === 'string' ? part['text'] : ''))
    .join('');
};

const isImagePart = (part: unknown): boolean => isFields(part) && (part['type'] === 'image_url' || part['type'] === 'image');

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

const toolsOf = (value: unknown): Fields[] => listOf(value).filter(isFields);

const positive = (value: unknown): number | null => (typeof value === 'number' && value > 0 ? Math.floor(value) : null);

const jsonOf = (format: unknown): Prompt['json'] => {
  if (!isFields(format)) return null;
  if (format['type'] === 'json_object') return isFields(format['schema']) ? format['schema'] : 'any';
  if (format['type'] !== 'json_schema') return null;
  const named = isFields(format['json_schema']) ? format['json_schema'] : {};
  return isFields(named['schema']) ? named['schema'] : 'any';
};

/** The inputs of an embedding request: a string, or a list of strings or of token lists. */
export const embeddingInputs = (input: unknown): string[] => {
  if (typeof input === 'string') return [input];
  if (!Array.isArray(input)) return [];
  if (input.every((item) => typeof item === 'number')) return [input.join(' ')];
  return input.map((item) => (typeof item === 'string' ? item : JSON.stringify(item)));
};
