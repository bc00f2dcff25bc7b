import { AnthropicBlock, type AnthropicMessage, type AnthropicTool, type MessagesRequest } from '@lai/shared/anthropic';
import { CodedError } from '@lai/shared/errors';
import type { ChatCompletionRequest } from '@lai/shared/openai';
import { z } from 'zod';
import { type ChatMessage, withOneSystemMessage } from '../openai/chat-question.ts';
import { jsonOf } from '../openai/foreign-json.ts';

type Part = Record<string, unknown> & { type: string };

/** Where the bytes of an image or a document are; what is no text counts as missing. */
const text = z.string().optional().catch(undefined);
const Source = z.object({ type: text, media_type: text, data: text, url: text });

/** A Messages request in chat's words. */
export const chatFromMessages = (request: MessagesRequest): ChatCompletionRequest => {
  const system: ChatMessage[] = request.system ? [{ role: 'system', content: systemText(request.system) }] : [];
  const messages = withOneSystemMessage([...system, ...request.messages.flatMap(messagesOf)]);
  if (!messages.some(({ role }) => role !== 'system'))
    throw new CodedError('invalid_value', { message: 'messages: at least one message is required', param: 'messages' });
  const tools = (request.tools ?? []).flatMap(toolOf);
  return {
    model: request.model,
    messages,
    max_tokens: request.max_tokens,
    temperature: request.temperature,
    top_p: request.top_p,
    top_k: request.top_k,
    stop: request.stop_sequences?.length ? request.stop_sequences : undefined,
    user: request.metadata?.user_id,
    ...(tools.length > 0 ? { tools, ...choiceOf(request.tool_choice) } : {}),
  };
};

/** Tools that Anthropic runs itself come without a schema: nobody here can run them. */
const toolOf = ({ name, description, input_schema }: AnthropicTool): Record<string, unknown>[] =>
  name && input_schema
    ? [{ type: 'function', function: { name, ...(description ? { description } : {}), parameters: input_schema } }]
    : [];

const choiceOf = (choice: MessagesRequest['tool_choice']): Record<string, unknown> => {
  if (!choice) return {};
  const parallel = choice.disable_parallel_tool_use ? { parallel_tool_calls: false } : {};
  if (choice.type === 'tool') return { tool_choice: { type: 'function', function: { name: choice.name } }, ...parallel };
  const words = new Map([
    ['any', 'required'],
    ['none', 'none'],
  ]);
  return { tool_choice: words.get(choice.type) ?? 'auto', ...parallel };
};

const messagesOf = ({ role, content }: AnthropicMessage): ChatMessage[] => {
  if (typeof content === 'string') return [{ role, content }];
  if (role === 'assistant') return [assistantMessage(content)];
  if (role !== 'user') return [{ role, content: textOf(content) }];
  const results = content.filter((block) => block.type === 'tool_result').map(resultOf);
  // Results stand right behind the calls they belong to; whatever else was said comes after them.
  const parts = [...results.flatMap(({ images }) => images), ...content.flatMap(partOf)];
  return [
    ...results.map(({ message }) => message),
    ...(parts.length > 0 || results.length === 0 ? [{ role, content: simplest(parts) }] : []),
  ];
};

const assistantMessage = (blocks: readonly AnthropicBlock[]): ChatMessage => {
  const text = blocks.map((block) => (block.type === 'text' ? (block.text ?? '') : '')).join('');
  const calls = blocks
    .filter((block) => block.type === 'tool_use')
    .map(({ id, name, input }) => ({ id, type: 'function', function: { name, arguments: jsonOf(input ?? {}) } }));
  return {
    role: 'assistant',
    content: text || (calls.length > 0 ? null : ''),
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
  };
};

/** A tool's message takes text only; images it returned are shown by the user right after. */
const resultOf = (block: AnthropicBlock): { message: ChatMessage; images: Part[] } => {
  const parts = innerBlocks(block).flatMap(partOf);
  const text = parts.map((part) => part['text'] ?? '').join('');
  return {
    message: { role: 'tool', tool_call_id: block.tool_use_id ?? '', content: block.is_error ? `Error: ${text}` : text },
    images: parts.filter((part) => part.type === 'image_url'),
  };
};

/** What stands in a block, as far as it is blocks: results of tools that Anthropic runs are objects of many kinds. */
const innerBlocks = (block: AnthropicBlock): AnthropicBlock[] => {
  const content = block['content'];
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  if (!Array.isArray(content)) return [];
  return content.flatMap((inner) => {
    const read = AnthropicBlock.safeParse(inner);
    return read.success ? [read.data] : [];
  });
};

const simplest = (parts: readonly Part[]): string | Part[] =>
  parts.every((part) => part.type === 'text') ? parts.map((part) => part['text'] ?? '').join('\n') : [...parts];

const partOf = (block: AnthropicBlock): Part[] => {
  const source = Source.safeParse(block['source']).data;
  switch (block.type) {
    case 'text':
      return [{ type: 'text', text: block.text ?? '' }];
    case 'image':
      return [
        {
          type: 'image_url',
          image_url: { url: source?.url ?? `data:${source?.media_type ?? 'image/png'};base64,${source?.data ?? ''}` },
        },
      ];
    case 'document':
      return [{ type: 'text', text: textOfDocument(block, source) }];
    case 'search_result':
      return [{ type: 'text', text: textOf(innerBlocks(block)) }];
    default:
      // Thinking is the model's own and comes anew; a newer kind of block leaves nothing to say.
      return [];
  }
};

/** Text documents can be read out; the rest is named, so that the model does not make up what is in it. */
const textOfDocument = (block: AnthropicBlock, source: z.infer<typeof Source> | undefined): string => {
  const title = typeof block['title'] === 'string' ? block['title'] : 'document';
  return source?.type === 'text' ? `${title}:\n${source.data ?? ''}` : `[${title}: this document cannot be read here]`;
};

/** Claude Code puts a line for Anthropic's accounts first, another one each time: it is not for the model, and breaks its cache. */
const BILLING = /^x-anthropic-billing-header:/;

const systemText = (system: string | readonly AnthropicBlock[]): string =>
  textOf(typeof system === 'string' ? system : system.filter(({ text }) => !BILLING.test(text ?? '')));

const textOf = (content: string | readonly AnthropicBlock[]): string =>
  typeof content === 'string'
    ? content
    : content
        .map((block) => block.text ?? '')
        .filter((text) => text !== '')
        .join('\n');
