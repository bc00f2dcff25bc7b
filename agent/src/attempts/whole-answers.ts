import type { AttemptRoute, Usage } from '@lai/shared/attempt';

/** The routes whose answers are streams of events; the others answer once, whole. */
export const STREAMED: ReadonlySet<AttemptRoute> = new Set(['chat.completions', 'completions']);

/** Recordings travel in a form; it begins with its boundary, so nothing else has to tell it. */
export const contentTypeOf = (route: AttemptRoute, body: Buffer): Record<string, string> => {
  if (route !== 'audio.transcriptions') return {};
  const boundary = /^--([\w'()+,./:=?-]{1,70})\r\n/.exec(body.toString('latin1', 0, 80))?.[1];
  return boundary === undefined ? {} : { 'content-type': `multipart/form-data; boundary=${boundary}` };
};

/** Usage of an answer that may be megabytes of numbers: looked for, not parsed out. */
export const usageOfWhole = (text: string): Usage | null => {
  const at = text.indexOf('"usage"');
  if (at === -1) return null;
  const near = text.slice(at, at + 400);
  const count = (name: string): number => Number(new RegExp(`"${name}"\\s*:\\s*(\\d+)`).exec(near)?.[1] ?? 0);
  const promptTokens = count('prompt_tokens') || count('total_tokens');
  return promptTokens === 0 ? null : { promptTokens, completionTokens: count('completion_tokens'), cachedTokens: 0 };
};
