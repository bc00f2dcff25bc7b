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
  let turn: UserTurn | null = null;
  let isLastInlined = false;
  for (const message of rest) {
    const isInlined = isSystem(message);
    const content = isInlined ? `<system-message>\n${plainText(message.content)}\n</system-message>` : message.content;
    const mayJoin = turn !== null && (isInlined || (message.role === 'user' && isLastInlined));
    if (turn && mayJoin) turn.add(content);
    else {
      const begun = isInlined ? { role: 'user', content } : { ...message };
      turn = begun.role === 'user' ? new UserTurn(begun) : null;
      said.push(begun);
    }
    isLastInlined = isInlined;
  }
  return said;
};

const isSystem = ({ role }: ChatMessage): boolean => role === 'system' || role === 'developer';

type Parts = Exclude<ChatMessage['content'], string | null | undefined>;

/** A user's message that grows: one text, until something comes that is none. Nothing of it is copied again for what comes later. */
class UserTurn {
  readonly #message: ChatMessage;
  #parts: Parts | null = null;

  constructor(message: ChatMessage) {
    this.#message = message;
  }

  add(content: ChatMessage['content']): void {
    if (this.#parts === null && typeof this.#message.content === 'string' && typeof content === 'string') {
      this.#message.content = `${this.#message.content}\n\n${content}`;
      return;
    }
    this.#parts ??= [...partsOf(this.#message.content)];
    this.#message.content = this.#parts;
    for (const part of partsOf(content)) this.#parts.push(part);
  }
}

const partsOf = (content: ChatMessage['content']): Parts =>
  typeof content === 'string' ? [{ type: 'text', text: content }] : (content ?? []);

const plainText = (content: ChatMessage['content']): string => {
  if (typeof content === 'string') return content;
  return (content ?? []).map((part) => (typeof part['text'] === 'string' ? part['text'] : '')).join('\n');
};
