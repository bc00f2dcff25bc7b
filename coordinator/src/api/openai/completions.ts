import { CompletionRequest } from '@lai/shared/openai';
import { type JsonBody, readJsonBody } from './body.ts';
import { textCollector } from './collect-text.ts';
import { completionTarget, longestText, plainConversation } from './needs.ts';
import { plainSignals } from './question-signals.ts';
import { type Call, type Door, type Question, serve } from './serve.ts';
import { collected, passThrough } from './wording.ts';

/** `POST /v1/completions`, the older of the two: text in, text out, and with `suffix` the text between. */
export const completions = async (call: Call, door: Door): Promise<void> => {
  const body = await readJsonBody(call.request, CompletionRequest, { maxTextBytes: door.maxTextBodyBytes });
  const { stream, stream_options } = body.value;
  const wording =
    stream === true ? passThrough({ includeUsage: stream_options?.include_usage === true }) : collected(textCollector());
  return serve(call, door, completionQuestion(body), wording);
};

export const completionQuestion = (body: JsonBody<CompletionRequest>): Question => {
  const { value } = body;
  return {
    route: 'completions',
    target: completionTarget(value),
    conversation: plainConversation(value.user, value.prompt),
    signals: plainSignals(longestText(value.prompt), value.max_tokens ?? 0),
    bodyFor: body.forEngine({ stream: true, stream_options: { ...value.stream_options, include_usage: true } }),
  };
};
