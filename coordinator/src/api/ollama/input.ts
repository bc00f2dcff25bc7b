import type { OllamaChatRequest, OllamaGenerateRequest, OllamaMessage } from '@lai/shared/ollama';
import type { ChatCompletionRequest, CompletionRequest } from '@lai/shared/openai';
import type { ChatMessage } from '../openai/chat-question.ts';
import { jsonOf } from '../openai/foreign-json.ts';

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

/**
 * Options that runtimes know by the same name on their OpenAI routes. `num_ctx` and the like are left out: they would make a runtime
 * load its model anew, and the context is the node's owner's to choose.
 */
const OPTIONS: ReadonlySet<string> = new Set([
  'temperature',
  'top_p',
  'top_k',
  'min_p',
  'seed',
  'stop',
  'presence_penalty',
  'frequency_penalty',
  'repeat_penalty',
]);

const wishesOf = ({ model, format, options, think }: Wishes, canThink: boolean): Record<string, unknown> & { model: string } => {
  const known = Object.entries(options ?? {}).filter(([name, value]) => OPTIONS.has(name) && value !== null);
  const limit = options?.['num_predict'];
  return {
    model,
    ...Object.fromEntries(known),
    // A negative one means "no limit".
    ...(typeof limit === 'number' && limit > 0 ? { max_tokens: Math.floor(limit) } : {}),
    ...(format === 'json' ? { response_format: { type: 'json_object' } } : {}),
    ...(typeof format === 'object' && format !== null
      ? { response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: format } } }
      : {}),
    ...(canThink && think !== null && think !== undefined ? { reasoning_effort: effortOf(think) } : {}),
  };
};

const effortOf = (think: boolean | string): string => (typeof think === 'string' ? think : think ? 'medium' : 'none');

/** Ollama's calls have no ids: results belong to the calls before them in the order they come. */
const messagesOf = (messages: readonly OllamaMessage[]): ChatMessage[] => {
  let calls = 0;
  let answered = 0;
  return messages.map((message) => {
    const content = message.content ?? '';
    if (message.role === 'tool') {
      answered += 1;
      return { role: 'tool', tool_call_id: message.tool_call_id ?? `call_${answered}`, content };
    }
    if (!message.tool_calls?.length) return { role: message.role, content: contentOf(content, message.images ?? []) };
    const tool_calls = message.tool_calls.map(({ id, function: { name, arguments: args } }) => {
      calls += 1;
      return { id: id ?? `call_${calls}`, type: 'function', function: { name, arguments: textOf(args) } };
    });
    return { role: message.role, content: content || null, tool_calls };
  });
};

const textOf = (args: unknown): string => (typeof args === 'string' ? args : jsonOf(args ?? {}));

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
