import type { ChatCompletionRequest } from '@lai/shared/openai';
import { chatConversation, chatTarget } from './needs.ts';
import type { Question } from './serve.ts';

export type ChatMessage = ChatCompletionRequest['messages'][number];

/** A chat request that a surface has made of its own kind of request. Fields without a value are left out. */
export const chatQuestion = (request: ChatCompletionRequest): Question => ({
  route: 'chat.completions',
  target: chatTarget(request),
  conversation: chatConversation(request),
  bodyFor: (model) =>
    Buffer.from(JSON.stringify({ ...present(request), model, stream: true, stream_options: { include_usage: true } })),
});

const present = (fields: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null));

/**
 * System messages as chat templates take them: one, at the beginning. What a client says later in that role stays where it was said
 * (moving it up would change the beginning of the prompt, and with it every cached prefix), marked as what it is.
 */
export const withOneSystemMessage = (messages: readonly ChatMessage[]): ChatMessage[] => {
  const isSystem = ({ role }: ChatMessage) => role === 'system' || role === 'developer';
  const firstOther = messages.findIndex((message) => !isSystem(message));
  const leading = firstOther === -1 ? messages : messages.slice(0, firstOther);
  const rest = firstOther === -1 ? [] : messages.slice(firstOther);
  const system = leading.map(({ content }) => plainText(content)).filter((text) => text !== '');
  return [
    ...(system.length > 0 ? [{ role: 'system', content: system.join('\n\n') }] : []),
    ...rest.map((message) =>
      isSystem(message)
        ? { role: 'user', content: `<system-message>\n${plainText(message.content)}\n</system-message>` }
        : message,
    ),
  ];
};

const plainText = (content: ChatMessage['content']): string => {
  if (typeof content === 'string') return content;
  return (content ?? []).map((part) => (typeof part['text'] === 'string' ? part['text'] : '')).join('\n');
};
