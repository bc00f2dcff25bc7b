import type { Capability } from '@lai/shared/node';
import type { ChatCompletionRequest, CompletionRequest, EmbeddingRequest, RerankRequest } from '@lai/shared/openai';
import { AUTO, type Target } from '../../routing/target.ts';
import type { Conversation } from './affinity.ts';

/** No tokenizer makes fewer tokens of a text than this many characters each: a guess that never refuses what would have fitted. */
const MOST_CHARACTERS_PER_TOKEN = 6;
/** Prompts are told apart by context only where it may matter, and then in steps, so that alike requests share a queue. */
const SMALL_CONTEXT_TOKENS = 2_048;
const STEP_TOKENS = 1_024;

/** What a chat request needs of the model that answers it, read from its body. */
export const chatTarget = (request: ChatCompletionRequest): Target => {
  const parts = request.messages.flatMap((message) => (Array.isArray(message.content) ? message.content : []));
  const wants: [Capability, boolean][] = [
    ['chat', true],
    ['vision', parts.some((part) => part.type === 'image_url')],
    ['audio', parts.some((part) => part.type === 'input_audio')],
    ['tools', (request.tools?.length ?? 0) > 0],
    [
      'json',
      request.response_format !== null && request.response_format !== undefined && request.response_format.type !== 'text',
    ],
  ];
  return {
    model: request.model ?? AUTO,
    capabilities: wants.filter(([, isWanted]) => isWanted).map(([capability]) => capability),
    contextTokens: contextFor(request.messages.reduce((sum, message) => sum + textLength(message.content), 0)),
  };
};

export const completionTarget = ({ model, prompt, suffix }: CompletionRequest): Target => ({
  model: model ?? AUTO,
  capabilities: ['completion'],
  contextTokens: contextFor(longestText(prompt) + (suffix?.length ?? 0)),
});

/** The inputs are read one by one, so the longest counts. */
export const embeddingTarget = ({ model, input }: EmbeddingRequest): Target => ({
  model: model ?? AUTO,
  capabilities: ['embedding'],
  contextTokens: contextFor(longestText(input)),
});

export const rerankTarget = ({ model, query, documents }: RerankRequest): Target => ({
  model: model ?? AUTO,
  capabilities: ['rerank'],
  contextTokens: contextFor(
    query.length + longest(documents.map((document) => (typeof document === 'string' ? document : document.text).length)),
  ),
});

/** Everything up to and with the first thing the user says stays the same for the length of a conversation. */
export const chatConversation = (request: ChatCompletionRequest): Conversation => {
  const firstUser = request.messages.findIndex((message) => message.role === 'user');
  const start = request.messages
    .slice(0, firstUser === -1 ? 1 : firstUser + 1)
    .map(({ role, content }) => `${role}: ${textOf(content)}`)
    .join('\n');
  const key = request['prompt_cache_key'];
  return { name: typeof key === 'string' && key !== '' ? key : request.user || null, start };
};

export const plainConversation = (user: string | null | undefined, prompt: CompletionRequest['prompt']): Conversation => ({
  name: user || null,
  start: typeof prompt === 'string' ? prompt : '',
});

export const contextFor = (characters: number): number => {
  const tokens = characters / MOST_CHARACTERS_PER_TOKEN;
  return tokens <= SMALL_CONTEXT_TOKENS ? 0 : Math.floor(tokens / STEP_TOKENS) * STEP_TOKENS;
};

/** Characters of the longest text in a prompt. */
export const longestText = (prompt: CompletionRequest['prompt']): number => longest(charactersOf(prompt));

const longest = (lengths: readonly number[]): number => lengths.reduce((most, length) => Math.max(most, length), 0);

/** Of each text in a prompt; tokens count as the characters they would be at most. */
const charactersOf = (prompt: CompletionRequest['prompt']): number[] => {
  if (typeof prompt === 'string') return [prompt.length];
  if (prompt.every((part) => typeof part === 'number')) return [prompt.length * MOST_CHARACTERS_PER_TOKEN];
  return prompt.map((part) => (typeof part === 'string' ? part.length : part.length * MOST_CHARACTERS_PER_TOKEN));
};

const textLength = (content: ChatCompletionRequest['messages'][number]['content']): number => {
  if (typeof content === 'string') return content.length;
  if (!Array.isArray(content)) return 0;
  return content.reduce((sum, part) => sum + (typeof part['text'] === 'string' ? part['text'].length : 0), 0);
};

const textOf = (content: ChatCompletionRequest['messages'][number]['content']): string => {
  if (typeof content === 'string') return content;
  return (content ?? []).map((part) => (typeof part['text'] === 'string' ? part['text'] : '')).join('');
};
