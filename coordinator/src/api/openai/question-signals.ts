import type { IncomingHttpHeaders } from 'node:http';
import { CodedError } from '@lai/shared/errors';
import type { ChatCompletionRequest } from '@lai/shared/openai';
import { PREFERENCES } from '../../routing/rules.ts';
import type { SignalSource } from '../../routing/signals.ts';

/** What a body says about where it wants to go, and how much it is. */
export interface QuestionSignals extends Omit<SignalSource, 'headers'> {
  /** Prompt, tools, images and requested output. */
  readonly estimatedTokens: number;
}

/** Of English text and code; what the thresholds of the rules are meant for. */
const CHARACTERS_PER_TOKEN = 4;
/** Of an image as most vision models see it. */
const TOKENS_PER_IMAGE = 1_000;
const MOST_MODELS = 16;
const MODEL_CHARACTERS = 512;

export const plainSignals = (characters: number, outputTokens: number): QuestionSignals => ({
  estimatedTokens: Math.ceil(characters / CHARACTERS_PER_TOKEN) + outputTokens,
  ...{ lastUserText: '', reasoningEffort: null, toolCount: 0, imageCount: 0, models: [] },
});

export const chatSignals = (request: ChatCompletionRequest): QuestionSignals => {
  let characters = 0;
  let imageCount = 0;
  let lastUserText = '';
  for (const { role, content } of request.messages) {
    const texts =
      typeof content === 'string' ? [content] : (content ?? []).flatMap(({ text }) => (typeof text === 'string' ? [text] : []));
    for (const text of texts) characters += text.length;
    if (Array.isArray(content)) for (const part of content) if (part.type === 'image_url') imageCount += 1;
    if (role === 'user') lastUserText = texts.join('\n');
  }
  const tools = request.tools ?? [];
  if (tools.length > 0) characters += JSON.stringify(tools).length;
  const effort = request['reasoning_effort'];
  return {
    estimatedTokens:
      Math.ceil(characters / CHARACTERS_PER_TOKEN) +
      imageCount * TOKENS_PER_IMAGE +
      (request.max_completion_tokens ?? request.max_tokens ?? 0),
    lastUserText,
    reasoningEffort: typeof effort === 'string' ? effort : null,
    toolCount: tools.length,
    imageCount,
    models: modelsIn(request['models']),
  };
};

/** `models` of the body: names to try in order, as OpenRouter's clients send them. */
const modelsIn = (value: unknown): readonly string[] => {
  if (value === undefined || value === null) return [];
  const isList = Array.isArray(value) && value.length <= MOST_MODELS;
  if (isList && value.every((name) => typeof name === 'string' && name !== '' && name.length <= MODEL_CHARACTERS))
    return value as string[];
  throw new CodedError('invalid_value', {
    message: `models takes a list of up to ${MOST_MODELS} names of models, which are tried in order.`,
    param: 'models',
  });
};

/** What the headers say about where a request wants to go. Throws CodedError for a value that means nothing. */
export const routingHeaders = (headers: IncomingHttpHeaders): SignalSource['headers'] => ({
  forceBig: oneOf(headers, 'X-Force-Big', ['true', 'false', '1', '0'])?.match(/^(true|1)$/) != null,
  complexity: oneOf(headers, 'X-Lai-Complexity', ['complex', 'simple']),
  home: oneOf(headers, 'X-Lai-Home', ['only', 'allowed']) === 'only' ? 'only' : null,
  prefer: oneOf(headers, 'X-Lai-Prefer', PREFERENCES),
  models: namesIn(headers['x-lai-models']),
});

const oneOf = <Word extends string>(headers: IncomingHttpHeaders, name: string, words: readonly Word[]): Word | null => {
  const value = headers[name.toLowerCase()];
  if (value === undefined || value === '') return null;
  const word = words.find((candidate) => candidate === String(value).trim().toLowerCase());
  if (word !== undefined) return word;
  throw new CodedError('invalid_header', { message: `${name} is one of ${words.join(', ')}.`, param: name });
};

const namesIn = (value: string | string[] | undefined): readonly string[] => {
  const names = String(value ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (names.length <= MOST_MODELS && names.every((name) => name.length <= MODEL_CHARACTERS)) return names;
  throw new CodedError('invalid_header', {
    message: `X-Lai-Models takes up to ${MOST_MODELS} names of models, separated by commas.`,
    param: 'X-Lai-Models',
  });
};
