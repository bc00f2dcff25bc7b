import { usageOf } from '@lai/shared/answer-usage';
import type { AttemptRoute, Usage } from '@lai/shared/attempt';
import { numberIn } from '@lai/shared/exact-json';

/** The routes whose answers are streams of events; the others answer once, whole. */
export const STREAMED: ReadonlySet<AttemptRoute> = new Set(['chat.completions', 'completions']);

/** Recordings travel in a form; it begins with its boundary, so nothing else has to tell it. */
export const contentTypeOf = (route: AttemptRoute, body: Buffer): Record<string, string> => {
  if (route !== 'audio.transcriptions') return {};
  const boundary = /^--([\w'()+,./:=?-]{1,70})\r\n/.exec(body.toString('latin1', 0, 80))?.[1];
  return boundary === undefined ? {} : { 'content-type': `multipart/form-data; boundary=${boundary}` };
};

/** Whether the form in which a recording travels asks for words that are no JSON. */
export const isPlainAnswer = (route: AttemptRoute, body: Buffer): boolean =>
  route === 'audio.transcriptions' &&
  /name="response_format"\r\n\r\n(?:text|srt|vtt)\r\n/.test(body.toString('latin1', 0, 64 * 1024));

/** Of an answer that has no tokens of its own, the total is what was read. */
export const usageOfWhole = (told: unknown): Usage | null => {
  const totalTokens = numberIn(typeof told === 'object' && told !== null ? Reflect.get(told, 'total_tokens') : undefined);
  return usageOf(told) ?? usageOf({ prompt_tokens: totalTokens });
};
