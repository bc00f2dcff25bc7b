import type { ChatCompletionRequest } from '@lai/shared/openai';
import { refuseAddressesInChat } from './addresses.ts';
import { composedBody } from './engine-body.ts';
import { chatConversation, chatTarget } from './needs.ts';
import { chatSignals } from './question-signals.ts';
import type { Question } from './serve.ts';

export type ChatMessage = ChatCompletionRequest['messages'][number];

/** A chat request that a surface has made of its own kind of request. Fields without a value are left out. */
export const chatQuestion = (request: ChatCompletionRequest): Question => {
  refuseAddressesInChat(request.messages);
  return {
    route: 'chat.completions',
    target: chatTarget(request),
    conversation: chatConversation(request),
    signals: chatSignals(request),
    bodyFor: composedBody({ ...request, stream: true, stream_options: { include_usage: true } }),
  };
};

/**
 * System messages as chat templates take them: one, at the beginning. What a client says later in that role stays where it was said
 * (moving it up would change the beginning of the prompt, and with it every cached prefix), marked as what it is and said together
 * with what the user says there: many templates refuse two user messages in a row.
 */
export const withOneSystemMessage = (messages: readonly ChatMessage[]): ChatMessage[] => {
  const firstOther = messages.findIndex((message) => !isSystem(message));
  const leading = firstOther === -1 ? messages : messages.slice(0, firstOther);
  const rest = firstOther === -1 ? [] : messages.slice(firstOther);
  const system = leading.map(({ content }) => plainText(content)).filter((text) => text !== '');
  const said: ChatMessage[] = system.length > 0 ? [{ role: 'system', content: system.join('\n\n') }] : [];
  let isLastInlined = false;
  for (const message of rest) {
    const isInlined = isSystem(message);
    const content = isInlined ? `<system-message>\n${plainText(message.content)}\n</system-message>` : message.content;
    const last = said.at(-1);
    const mayJoin = last?.role === 'user' && (isInlined || message.role === 'user') && (isInlined || isLastInlined);
    if (mayJoin) said[said.length - 1] = { ...last, content: joined(last.content, content) };
    else said.push(isInlined ? { role: 'user', content } : message);
    isLastInlined = isInlined;
  }
  return said;
};

const isSystem = ({ role }: ChatMessage): boolean => role === 'system' || role === 'developer';

const joined = (a: ChatMessage['content'], b: ChatMessage['content']): ChatMessage['content'] => {
  if (typeof a === 'string' && typeof b === 'string') return `${a}\n\n${b}`;
  return [...partsOf(a), ...partsOf(b)];
};

const partsOf = (content: ChatMessage['content']) =>
  typeof content === 'string' ? [{ type: 'text', text: content }] : (content ?? []);

const plainText = (content: ChatMessage['content']): string => {
  if (typeof content === 'string') return content;
  return (content ?? []).map((part) => (typeof part['text'] === 'string' ? part['text'] : '')).join('\n');
};
