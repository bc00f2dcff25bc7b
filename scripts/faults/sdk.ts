import OpenAI from 'openai';
import { readStream } from '../e2e/stream.ts';
import { type Ask, bodyOf, endingOf, type Told } from './asking.ts';
import type { Fail, Ok } from './history.ts';
import { MODEL, type Stage } from './stage.ts';

/**
 * One stream read by the unmodified OpenAI client, which must throw when it does not end well. The bytes it read are looked at as well;
 * `thrown` is the code of what it threw, null when it threw nothing.
 */
export const askThroughSdk = async (
  stage: Stage,
  { marker, maxTokens, onContent }: Pick<Ask, 'marker' | 'maxTokens' | 'onContent'>,
): Promise<Told & { readonly thrown: string | null }> => {
  const { history, household } = stage;
  const sentAtMs = performance.now();
  const limitMs = 30_000;
  history.add({ type: 'invoke', request: marker, deadlineMs: history.sinceStart(sentAtMs) + limitMs }, sentAtMs);
  const read: Uint8Array[] = [];
  let answer: Response | null = null;
  const client = new OpenAI({
    baseURL: `${stage.url}/v1`,
    apiKey: household.key,
    maxRetries: 0,
    timeout: limitMs,
    fetch: async (...args) => {
      const response = await fetch(...args);
      answer = response;
      const recorder = new TransformStream<Uint8Array, Uint8Array>({
        transform(chunk, controller) {
          read.push(chunk);
          controller.enqueue(chunk);
        },
      });
      return new Response(response.body?.pipeThrough(recorder) ?? null, response);
    },
  });
  let thrown: string | null = null;
  let node = '';
  let firstContentAtMs: number | null = null;
  let errorAtMs: number | null = null;
  const stream = client.chat.completions.create(bodyOf({ marker, model: MODEL, maxTokens })).withResponse();
  try {
    const { data, response } = await stream;
    node = response.headers.get('x-lai-node') ?? '';
    for await (const chunk of data) {
      if (!chunk.choices[0]?.delta.content) continue;
      firstContentAtMs ??= performance.now();
      onContent?.(node);
    }
  } catch (error) {
    errorAtMs = performance.now();
    thrown = (error as { code?: string }).code ?? (error instanceof Error ? error.message : String(error));
  }
  const endedAtMs = performance.now();
  const head = answer as Response | null;
  const seen = head?.ok ? await readStream(new Response(Buffer.concat(read))) : null;
  const ending = {
    ...(seen
      ? endingOf(marker, node, seen)
      : { ...{ type: 'fail', request: marker, how: 'http', code: thrown }, ...NOTHING_SEEN }),
    atMs: history.sinceStart(endedAtMs),
  } as Ok | Fail;
  history.add(ending, endedAtMs);
  return {
    ...{ marker, ending, thrown, node, sentAtMs, headersAtMs: null, firstContentAtMs, errorAtMs, endedAtMs },
    status: head?.status ?? null,
    attempts: Number(head?.headers.get('x-lai-attempts') ?? 0),
    requestId: head?.headers.get('x-request-id') ?? null,
    content: seen?.content ?? '',
  };
};

const NOTHING_SEEN = { errorEvents: 0, hasDone: false, signatures: [], isExcused: false };
