import { DONE, EventSplitter } from '@lai/shared/sse';
import { type Asked, askCoordinator } from './ask-coordinator.ts';
import { fetchExplanation } from './explain.ts';

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

export interface StreamedAnswer {
  readonly text: string;
  /** Null when the answer came to its end; else a sentence. */
  readonly problem: string | null;
  /** Who served it, how soon and how fast, as far as it is known. */
  readonly speed: string;
}

/** One streamed chat through the public door; each piece goes to `write` as it arrives. */
export const streamChat = async (
  place: Asked,
  question: {
    readonly model: string;
    readonly messages: readonly ChatMessage[];
    readonly maxTokens?: number;
    readonly signal?: AbortSignal;
  },
  write: (text: string) => void,
): Promise<StreamedAnswer> => {
  const startedAtMs = performance.now();
  const { model, messages, maxTokens, signal } = question;
  const response = await askCoordinator(place, '/v1/chat/completions', {
    method: 'POST',
    headers: { 'x-lai-timeout': '120' },
    body: JSON.stringify({
      ...{ model, messages, stream: true, stream_options: { include_usage: true } },
      ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
    }),
    limitMs: null,
    ...(signal ? { signal } : {}),
  });
  const splitter = new EventSplitter();
  let text = '';
  let firstAtMs: number | null = null;
  let tokens = 0;
  let isDone = false;
  let failure = '';
  const pieces = (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream());
  for await (const piece of pieces as AsyncIterable<string>) {
    for (const data of splitter.push(piece)) {
      if (data === DONE) {
        isDone = true;
        continue;
      }
      const event = JSON.parse(data);
      failure = event.error?.message ?? failure;
      tokens = event.usage?.completion_tokens ?? tokens;
      const { content = '', reasoning_content: thought = '' } = event.choices?.[0]?.delta ?? {};
      if ((content || thought) && firstAtMs === null) firstAtMs = performance.now();
      text += content ?? '';
      write(content ?? '');
    }
  }
  if (!isDone || firstAtMs === null)
    return { text, problem: `the answer was cut short: ${failure || 'it had no end'}`, speed: '' };
  const seconds = (performance.now() - firstAtMs) / 1_000;
  const rate = tokens > 1 && seconds > 0 ? `, ${(tokens / seconds).toFixed(1)} tokens/s` : '';
  const served = await whoServed(response.headers, place);
  return { text, problem: null, speed: `${served}first token after ${Math.round(firstAtMs - startedAtMs)} ms${rate}` };
};

/** Headers that went out while the model was being loaded could not name anybody yet; the request's explanation can. */
const whoServed = async (headers: Headers, place: Asked): Promise<string> => {
  const [node, model] = [headers.get('x-lai-node'), headers.get('x-lai-model')];
  if (node && model) return `served by ${node} with ${decodeURI(model)}; `;
  const explanation = await fetchExplanation(place, headers.get('x-request-id') ?? '').catch(() => null);
  const attempt = explanation?.attempts.at(-1);
  return attempt ? `served by ${attempt.node} with ${attempt.model}; ` : '';
};
