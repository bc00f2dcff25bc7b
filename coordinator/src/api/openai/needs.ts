import type { Capability } from '@lai/shared/node';
import type { ChatCompletionRequest } from '@lai/shared/openai';
import { AUTO, type Target } from '../../routing/target.ts';

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
    contextTokens: stepped(
      request.messages.reduce((sum, message) => sum + textLength(message.content), 0) / MOST_CHARACTERS_PER_TOKEN,
    ),
  };
};

const stepped = (tokens: number): number => (tokens <= SMALL_CONTEXT_TOKENS ? 0 : Math.floor(tokens / STEP_TOKENS) * STEP_TOKENS);

const textLength = (content: ChatCompletionRequest['messages'][number]['content']): number => {
  if (typeof content === 'string') return content.length;
  if (!Array.isArray(content)) return 0;
  return content.reduce((sum, part) => sum + (typeof part['text'] === 'string' ? part['text'].length : 0), 0);
};
