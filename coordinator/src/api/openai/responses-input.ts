import { CodedError } from '@lai/shared/errors';
import type { ChatCompletionRequest } from '@lai/shared/openai';
import type { ResponseItem, ResponseRequest } from '@lai/shared/responses';
import { type ChatMessage, withOneSystemMessage } from './chat-question.ts';
import { chatNameOf, type ToolOffer, toolChoiceOf } from './responses-tools.ts';

type Part = Record<string, unknown> & { type: string };

/** A Responses request in chat's words. */
export const chatFromResponse = (
  request: ResponseRequest,
  items: readonly ResponseItem[],
  { offer, canThink }: { offer: ToolOffer; canThink: boolean },
): ChatCompletionRequest => {
  const instructions: ChatMessage[] = request.instructions ? [{ role: 'system', content: request.instructions }] : [];
  const messages = withOneSystemMessage([...instructions, ...messagesOf(items)]);
  if (!messages.some(({ role }) => role !== 'system'))
    throw new CodedError('invalid_value', {
      message: 'input: there is nothing in it that a model could answer.',
      param: 'input',
    });
  const format = request.text?.format;
  return {
    model: request.model,
    messages,
    max_tokens: request.max_output_tokens,
    temperature: request.temperature,
    top_p: request.top_p,
    user: request.user,
    prompt_cache_key: request.prompt_cache_key,
    ...(offer.tools.length > 0 ? { tools: [...offer.tools], tool_choice: toolChoiceOf(request.tool_choice, offer) } : {}),
    ...(offer.tools.length > 0 && request.parallel_tool_calls !== null
      ? { parallel_tool_calls: request.parallel_tool_calls }
      : {}),
    ...(format && format.type !== 'text' ? { response_format: chatFormat(format) } : {}),
    // A model that cannot think answers 400 to being told how hard.
    ...(canThink && request.reasoning?.effort ? { reasoning_effort: request.reasoning.effort } : {}),
  };
};

const chatFormat = ({ type, ...rest }: { type: string } & Record<string, unknown>) =>
  type === 'json_schema' ? { type, json_schema: rest } : { type };

/** Items as messages; calls of one turn belong into one message, since templates expect their results right behind it. */
const messagesOf = (items: readonly ResponseItem[]): ChatMessage[] => {
  const messages: ChatMessage[] = [];
  for (const item of items) {
    switch (item.type ?? 'message') {
      case 'message':
        messages.push({ role: item.role ?? 'user', content: contentOf(item.content) });
        break;
      case 'function_call':
        addCall(messages, item, item.arguments ?? '{}');
        break;
      case 'custom_tool_call':
        addCall(messages, item, JSON.stringify({ input: item.input ?? '' }));
        break;
      case 'function_call_output':
      case 'custom_tool_call_output':
        messages.push(...resultOf(item));
        break;
      default:
      // Reasoning is the model's own and comes anew; what nobody here can run leaves nothing to say.
    }
  }
  return messages;
};

const addCall = (messages: ChatMessage[], item: ResponseItem, args: string): void => {
  const call = {
    id: item.call_id ?? item.id ?? '',
    type: 'function',
    function: { name: chatNameOf(item), arguments: args || '{}' },
  };
  const last = messages.at(-1);
  if (last?.role === 'assistant') last['tool_calls'] = [...((last['tool_calls'] as unknown[] | undefined) ?? []), call];
  else messages.push({ role: 'assistant', content: null, tool_calls: [call] });
};

/** A tool's message takes text only; images it returned are shown by the user right after. */
const resultOf = (item: ResponseItem): ChatMessage[] => {
  const content = contentOf(item.output);
  const parts = Array.isArray(content) ? content : [];
  const text = typeof content === 'string' ? content : parts.map((part) => part['text'] ?? '').join('');
  const images = parts.filter((part) => part.type === 'image_url');
  return [
    { role: 'tool', tool_call_id: item.call_id ?? '', content: text },
    ...(images.length > 0 ? [{ role: 'user', content: images }] : []),
  ];
};

const contentOf = (content: ResponseItem['content']): string | Part[] => {
  if (typeof content === 'string') return content;
  const parts = (content ?? []).flatMap((part) => partOf(part));
  return parts.every((part) => part.type === 'text') ? parts.map((part) => part['text'] ?? '').join('') : parts;
};

const partOf = (part: Part): Part[] => {
  switch (part.type) {
    case 'input_text':
    case 'output_text':
    case 'text':
    case 'summary_text':
      return [{ type: 'text', text: textIn(part['text']) }];
    case 'refusal':
      return [{ type: 'text', text: textIn(part['refusal']) }];
    case 'input_image':
      return typeof part['image_url'] === 'string'
        ? [{ type: 'image_url', image_url: { url: part['image_url'], ...(part['detail'] ? { detail: part['detail'] } : {}) } }]
        : [];
    case 'input_audio':
      return [{ type: 'input_audio', input_audio: part['input_audio'] }];
    case 'input_file':
      return [{ type: 'text', text: textOfFile(part) }];
    default:
      return [];
  }
};

/** Of a field that no schema looks at. */
const textIn = (value: unknown): string => (typeof value === 'string' ? value : '');

/** Text files can be read out; the rest is named, so that the model does not make up what is in it. */
const textOfFile = (part: Part): string => {
  const name = textIn(part['filename']) || 'file';
  const [, type = '', data = ''] = /^data:([^;,]*)(?:;[^,]*)?,(.*)$/s.exec(textIn(part['file_data'])) ?? [];
  const isText = type.startsWith('text/') || type === 'application/json';
  return isText ? `${name}:\n${Buffer.from(data, 'base64').toString()}` : `[${name}: this file cannot be read here]`;
};
