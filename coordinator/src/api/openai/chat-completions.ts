import { ChatCompletionRequest } from '@lai/shared/openai';
import { refuseAddressesInChat } from './addresses.ts';
import { type JsonBody, readJsonBody } from './body.ts';
import { chatCollector } from './collect-chat.ts';
import { ignoredFields } from './field-table.ts';
import { CHAT_FIELDS } from './fields.ts';
import { chatConversation, chatTarget } from './needs.ts';
import { chatSignals } from './question-signals.ts';
import { type Call, type Door, type Question, serve } from './serve.ts';
import { chosenTools } from './tool-choice.ts';
import { collected, passThrough } from './wording.ts';

/** `POST /v1/chat/completions` */
export const chatCompletions = async (call: Call, door: Door): Promise<void> => {
  const body = await readJsonBody(call.request, ChatCompletionRequest, { maxTextBytes: door.maxTextBodyBytes });
  const { stream, stream_options } = body.value;
  const wording =
    stream === true ? passThrough({ includeUsage: stream_options?.include_usage === true }) : collected(chatCollector());
  return serve(call, door, chatQuestion(body), wording);
};

export const chatQuestion = (body: JsonBody<ChatCompletionRequest>): Question => {
  const { value } = body;
  refuseAddressesInChat(value.messages);
  ignoredFields(CHAT_FIELDS, value);
  const { tools, tool_choice } = chosenTools(value);
  const isNarrowed = tool_choice !== value.tool_choice;
  return {
    route: 'chat.completions',
    target: chatTarget({ ...value, tools }),
    conversation: chatConversation(value),
    signals: chatSignals(value),
    // A stream can be watched and stopped; usage costs nothing and is what accounting needs.
    bodyFor: body
      // The newer word for it; chat templates know only the older one.
      .withRole({ from: 'developer', to: 'system' })
      .forEngine({
        ...(isNarrowed ? { tools, tool_choice } : {}),
        stream: true,
        stream_options: { ...value.stream_options, include_usage: true },
        // For the routes of this coordinator, not for engines.
        models: undefined,
      }),
  };
};
