import { AnthropicBlock, type AnthropicMessage, type MessagesRequest } from '@lai/shared/anthropic';
import { CodedError } from '@lai/shared/errors';
import type { ChatCompletionRequest } from '@lai/shared/openai';
import { z } from 'zod';
import { type ChatMessage, withOneSystemMessage } from '../openai/chat-question.ts';
import { ignoredFields } from '../openai/field-table.ts';
import { jsonOf } from '../openai/foreign-json.ts';
import { effortFor, reasoningFields } from '../openai/reasoning.ts';
import { MESSAGES_FIELDS } from './fields.ts';
import { chatToolsOf, serverToolsIn } from './tools.ts';

type Part = Record<string, unknown> & { type: string };

/** Where the bytes of an image or a document are; what is no text counts as missing. */
const text = z.string().optional().catch(undefined);
const Source = z.object({ type: text, media_type: text, data: text, url: text });

/** A Messages request in chat's words. Throws CodedError for what cannot be said. */
export const chatFromMessages = (request: MessagesRequest, { canThink = false } = {}): ChatCompletionRequest => {
  const system: ChatMessage[] = request.system ? [{ role: 'system', content: systemText(request.system) }] : [];
  const messages = withOneSystemMessage([...system, ...request.messages.flatMap(messagesOf)]);
  if (!messages.some(({ role }) => role !== 'system'))
    throw new CodedError('invalid_value', { message: 'messages: at least one message is required', param: 'messages' });
  const effort = effortOf(request);
  return {
    model: request.model,
    messages,
    max_tokens: request.max_tokens,
    temperature: request.temperature,
    top_p: request.top_p,
    top_k: request.top_k,
    stop: request.stop_sequences?.length ? request.stop_sequences : undefined,
    user: request.metadata?.user_id,
    ...chatToolsOf(request),
    ...formatOf(request),
    // A model that cannot think answers 400 to being told how hard.
    ...(canThink && effort ? { reasoning_effort: effort.word } : {}),
  };
};

/** What of the request nobody here acts on, as paths. Throws CodedError for a field that is refused. */
export const ignoredInMessages = (request: MessagesRequest, { canThink }: { canThink: boolean }): string[] => {
  const effort = effortOf(request);
  const unheard = effort && !canThink && effort.word !== 'none' ? [effort.path] : [];
  return [...ignoredFields(MESSAGES_FIELDS, request), ...serverToolsIn(request), ...unheard];
};

/** How hard a model is to think; null when nothing is said about it. */
const effortOf = ({ thinking, output_config: config }: MessagesRequest): { word: string; path: string } | null => {
  if (thinking?.type === 'disabled') return { word: 'none', path: 'thinking.type' };
  const path = 'output_config.effort';
  if (config?.effort) return { word: effortFor(config.effort, path), path };
  return thinking?.type === 'enabled' ? { word: 'medium', path: 'thinking.type' } : null;
};

const formatOf = ({ output_config: config, output_format: old }: MessagesRequest): Record<string, unknown> => {
  const format = config?.format ?? old;
  if (!format) return {};
  const path = config?.format ? 'output_config.format' : 'output_format';
  if (format.type !== 'json_schema' || !format.schema)
    throw new CodedError('invalid_value', { message: `${path}: takes {"type": "json_schema", "schema": {…}}.`, param: path });
  return { response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: format.schema } } };
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
    ...(calls.length > 0 ? { ...reasoningFields(thinkingIn(blocks)), tool_calls: calls } : {}),
  };
};

const thinkingIn = (blocks: readonly AnthropicBlock[]): string =>
  blocks
    .map((block) => (block.type === 'thinking' ? block['thinking'] : ''))
    .filter((thinking) => typeof thinking === 'string')
    .join('');

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
      // Thinking stands beside its calls; a newer kind of block leaves nothing to say.
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
