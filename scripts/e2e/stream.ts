import { DONE, EventSplitter } from '../../shared/src/sse.ts';

/** What a client saw of one streamed answer. */
export interface SeenStream {
  readonly content: string;
  readonly isDone: boolean;
  readonly finishReason: string | null;
  /** As the answer's own usage says; null when it says nothing. */
  readonly usageTokens: number | null;
  readonly errors: readonly { readonly code: string; readonly message: string }[];
  readonly comments: readonly string[];
}

/** Reads a streamed answer to its end; `onContent` sees each piece as it comes, `onError` hears of an error event. */
export const readStream = async (
  response: Response,
  onContent: (content: string) => void = () => {},
  onError: () => void = () => {},
): Promise<SeenStream> => {
  const splitter = new EventSplitter();
  const seen = {
    content: '',
    isDone: false,
    finishReason: null as string | null,
    usageTokens: null as number | null,
    errors: [] as SeenStream['errors'][number][],
    comments: [] as string[],
  };
  let raw = '';
  for await (const text of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
    raw += text;
    for (const data of splitter.push(text)) {
      if (data === DONE) {
        seen.isDone = true;
        continue;
      }
      const event = JSON.parse(data);
      if (event.error) {
        seen.errors.push(event.error);
        onError();
      }
      const content: string = event.choices?.[0]?.delta?.content ?? '';
      seen.usageTokens = event.usage?.completion_tokens ?? seen.usageTokens;
      seen.finishReason = event.choices?.[0]?.finish_reason ?? seen.finishReason;
      seen.content += content;
      if (content) onContent(content);
    }
  }
  seen.comments = raw.split('\n').filter((line) => line.startsWith(':'));
  return seen;
};
