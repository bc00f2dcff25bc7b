import { CodedError } from '@lai/shared/errors';
import type { ChatCompletionRequest } from '@lai/shared/openai';
import { type ResponseItem, ResponseOutput, type ResponseRequest } from '@lai/shared/responses';
import { type ChatMessage, withOneSystemMessage } from './chat-question.ts';
import { ignoredFields } from './field-table.ts';
import { RESPONSE_FIELDS } from './fields.ts';
import { jsonOf } from './foreign-json.ts';
import { effortFor, reasoningFields } from './reasoning.ts';
import { chatNameOf, chosenOffer, type ToolOffer, unofferedTools } from './responses-tools.ts';

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
    ...chosenOffer(request.tool_choice, offer),
    ...(offer.tools.length > 0 && request.parallel_tool_calls !== null
      ? { parallel_tool_calls: request.parallel_tool_calls }
      : {}),
    ...(format && format.type !== 'text' ? { response_format: chatFormat(format) } : {}),
    // A model that cannot think answers 400 to being told how hard.
    ...(canThink && request.reasoning?.effort
      ? { reasoning_effort: effortFor(request.reasoning.effort, 'reasoning.effort') }
      : {}),
  };
};

/** What of the request nobody here acts on, as paths. Throws CodedError for a field that is refused. */
export const ignoredInResponse = (
  request: ResponseRequest,
  items: readonly ResponseItem[],
  { canThink }: { canThink: boolean },
): string[] => {
  const effort = request.reasoning?.effort;
  const unread = items.filter(({ type }) => type && !READ_ITEMS.has(type)).map(({ type }) => `input.${type}`);
  return [
    ...ignoredFields(RESPONSE_FIELDS, request),
    ...unofferedTools(request.tools ?? []),
    ...unread,
    ...(effort && effort !== 'none' && !canThink ? ['reasoning.effort'] : []),
  ];
};

const READ_ITEMS: ReadonlySet<string> = new Set([
  ...['message', 'reasoning', 'function_call', 'custom_tool_call', 'function_call_output', 'custom_tool_call_output'],
]);

const chatFormat = ({ type, ...rest }: { type: string } & Record<string, unknown>) =>
  type === 'json_schema' ? { type, json_schema: rest } : { type };

/** Items as messages; calls of one turn belong into one message, since templates expect their results right behind it. */
const messagesOf = (items: readonly ResponseItem[]): ChatMessage[] => {
  const messages: ChatMessage[] = [];
  /** What led to the calls that come next. */
  let reasoning: string[] = [];
  for (const item of items) {
    const type = item.type ?? 'message';
    switch (type) {
      case 'message':
        messages.push({ role: item.role ?? 'user', content: contentOf(item.content) });
        break;
      case 'reasoning':
        reasoning.push(reasoningIn(item));
        break;
      case 'function_call':
      case 'custom_tool_call':
        addCall(messages, item, reasoning.splice(0).join(''));
        break;
      case 'function_call_output':
      case 'custom_tool_call_output':
        messages.push(...resultOf(item));
        break;
      default:
      // What nobody here can run leaves nothing to say.
    }
    if (type !== 'reasoning' && item.role !== 'assistant') reasoning = [];
  }
  return messages;
};

/** The model's own words for it, or what was shown of them. */
const reasoningIn = ({ content, summary }: ResponseItem): string => {
  const parts = (Array.isArray(content) && content.length > 0 ? content : summary) ?? [];
  return (Array.isArray(parts) ? parts : []).map((part) => textIn(part?.text)).join('');
};

const addCall = (messages: ChatMessage[], item: ResponseItem, reasoning: string): void => {
  const args = item.type === 'custom_tool_call' ? JSON.stringify({ input: item.input ?? '' }) : item.arguments;
  const call = {
    id: item.call_id ?? item.id ?? '',
    type: 'function',
    function: { name: chatNameOf(item), arguments: args || '{}' },
  };
  const last = messages.at(-1);
  const message = last?.role === 'assistant' ? last : { role: 'assistant', content: null };
  if (message !== last) messages.push(message);
  Object.assign(message, reasoningFields(reasoning));
  if (Array.isArray(message['tool_calls'])) message['tool_calls'].push(call);
  else message['tool_calls'] = [call];
};

/** A tool's message takes text only; images it returned are shown by the user right after. */
const resultOf = (item: ResponseItem): ChatMessage[] => {
  const output = ResponseOutput.safeParse(item.output);
  const content = contentOf(output.success ? output.data : jsonOf(item.output));
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
