import { CodedError } from '@lai/shared/errors';
import type { OllamaChatRequest, OllamaGenerateRequest, OllamaMessage } from '@lai/shared/ollama';
import type { ChatCompletionRequest, CompletionRequest } from '@lai/shared/openai';
import type { ChatMessage } from '../openai/chat-question.ts';
import { effortFor, reasoningFields } from '../openai/reasoning.ts';
import { CallIds } from './calls.ts';
import { PASSED_OPTIONS } from './fields.ts';

type Wishes = Pick<OllamaChatRequest, 'model' | 'format' | 'options' | 'think'>;

/** An `/api/chat` request in chat's words. */
export const chatFromOllama = (request: OllamaChatRequest, canThink: boolean): ChatCompletionRequest => ({
  ...wishesOf(request, canThink),
  messages: messagesOf(request.messages ?? []),
  ...(request.tools?.length ? { tools: request.tools } : {}),
});

/** An `/api/generate` request that wants the model's chat template. */
export const chatFromGenerate = (request: OllamaGenerateRequest, canThink: boolean): ChatCompletionRequest => ({
  ...wishesOf(request, canThink),
  messages: [
    ...(request.system ? [{ role: 'system', content: request.system }] : []),
    { role: 'user', content: contentOf(request.prompt ?? '', request.images ?? []) },
  ],
});

/** One that wants its prompt as it is, or the text between two others. */
export const completionFromGenerate = (request: OllamaGenerateRequest): CompletionRequest => {
  const { response_format: _, ...wishes } = wishesOf(request, false);
  return { ...wishes, prompt: request.prompt ?? '', ...(request.suffix ? { suffix: request.suffix } : {}) };
};

/** `num_ctx` and the like are left out: they would make a runtime load its model anew. */
const OPTIONS: ReadonlySet<string> = new Set(PASSED_OPTIONS);

/** Ollama takes one word, or a schema. */
const formatOf = (format: Wishes['format']): Record<string, unknown> => {
  if (format === null || format === undefined || format === '') return {};
  if (format === 'json') return { response_format: { type: 'json_object' } };
  if (typeof format === 'string')
    throw new CodedError('invalid_value', { message: 'format: takes "json" or a JSON schema.', param: 'format' });
  return { response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: format } } };
};

const wishesOf = ({ model, format, options, think }: Wishes, canThink: boolean): Record<string, unknown> & { model: string } => {
  const known = Object.entries(options ?? {}).filter(([name, value]) => OPTIONS.has(name) && value !== null);
  const limit = options?.['num_predict'];
  return {
    model,
    ...Object.fromEntries(known),
    // A negative one means "no limit".
    ...(typeof limit === 'number' && limit > 0 ? { max_tokens: Math.floor(limit) } : {}),
    ...formatOf(format),
    ...(canThink && think !== null && think !== undefined ? { reasoning_effort: effortOf(think) } : {}),
  };
};

const effortOf = (think: boolean | string): string =>
  typeof think === 'string' ? effortFor(think, 'think') : think ? 'medium' : 'none';

const messagesOf = (messages: readonly OllamaMessage[]): ChatMessage[] => {
  const ids = new CallIds(messages);
  return messages.map((message) => {
    const { role, thinking, images } = message;
    if (role === 'tool') return ids.resultOf(message);
    const content = message.content ?? '';
    const tool_calls = ids.callsOf(message);
    if (tool_calls.length === 0) return { role, content: contentOf(content, images ?? []) };
    return { role, content: content || null, ...reasoningFields(thinking ?? ''), tool_calls };
  });
};

const contentOf = (text: string, images: readonly string[]): ChatMessage['content'] =>
  images.length === 0
    ? text
    : [
        ...(text === '' ? [] : [{ type: 'text', text }]),
        ...images.map((image) => ({ type: 'image_url', image_url: { url: urlOf(image) } })),
      ];

/** Base64 without a word of what it is: the first bytes tell. */
const urlOf = (image: string): string => {
  if (image.startsWith('data:')) return image;
  const type = image.startsWith('/9j/') ? 'jpeg' : image.startsWith('R0lG') ? 'gif' : image.startsWith('UklG') ? 'webp' : 'png';
  return `data:image/${type};base64,${image}`;
};
