import { DONE, EventSplitter } from '@lai/shared/sse';
import { fetchExplanation } from './explain.ts';

const PROMPT = 'Tell me in two or three short sentences what a graphics card is good for.';

export interface FirstAnswer {
  readonly isComplete: boolean;
  readonly sentence: string;
}

/** One real streamed chat through the public door, written out as it arrives. */
export const askFirstQuestion = async (options: {
  url: string;
  key: string;
  write: (text: string) => void;
}): Promise<FirstAnswer> => {
  const startedAtMs = performance.now();
  const response = await fetch(`${options.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${options.key}`, 'content-type': 'application/json', 'x-lai-timeout': '120' },
    body: JSON.stringify({
      model: 'auto',
      stream: true,
      stream_options: { include_usage: true },
      max_tokens: 96,
      messages: [{ role: 'user', content: PROMPT }],
    }),
  });
  if (!response.ok || !response.body) {
    return {
      isComplete: false,
      sentence: `the endpoint answered HTTP ${response.status}: ${(await response.text()).slice(0, 500)}`,
    };
  }
  const splitter = new EventSplitter();
  let firstAtMs: number | null = null;
  let tokens = 0;
  let isDone = false;
  let failure = '';
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    for (const data of splitter.push(text)) {
      if (data === DONE) {
        isDone = true;
        continue;
      }
      const event = JSON.parse(data);
      failure = event.error?.message ?? failure;
      tokens = event.usage?.completion_tokens ?? tokens;
      const content: string = event.choices?.[0]?.delta?.content ?? '';
      if (content && firstAtMs === null) firstAtMs = performance.now();
      options.write(content);
    }
  }
  options.write('\n');
  if (!isDone || firstAtMs === null)
    return { isComplete: false, sentence: `the answer was cut short: ${failure || 'no [DONE]'}` };
  const seconds = (performance.now() - firstAtMs) / 1_000;
  const speed = tokens > 1 && seconds > 0 ? `, ${(tokens / seconds).toFixed(1)} tokens/s` : '';
  return {
    isComplete: true,
    sentence: `${await whoServed(response.headers, options)}first token after ${Math.round(firstAtMs - startedAtMs)} ms${speed}`,
  };
};

/** Headers that went out while the model was being loaded could not name anybody yet; the request's explanation can. */
const whoServed = async (headers: Headers, place: { url: string; key: string }): Promise<string> => {
  const [node, model] = [headers.get('x-lai-node'), headers.get('x-lai-model')];
  if (node && model) return `served by ${node} with ${decodeURI(model)}; `;
  const explanation = await fetchExplanation(place, headers.get('x-request-id') ?? '').catch(() => null);
  const attempt = explanation?.attempts.at(-1);
  return attempt ? `served by ${attempt.node} with ${attempt.model}; ` : '';
};
