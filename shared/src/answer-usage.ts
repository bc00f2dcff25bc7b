import type { Usage } from './attempt.ts';
import { numberIn } from './exact-json.ts';

/** What an engine counted; null when it counted nothing: zeros on every chunk of /v1/completions are one of Ollama's habits. */
export const usageOf = (told: unknown): Usage | null => {
  const promptTokens = countIn(told, 'prompt_tokens');
  const completionTokens = countIn(told, 'completion_tokens');
  if (promptTokens === 0 && completionTokens === 0) return null;
  const cachedTokens = countIn(fieldOf(told, 'prompt_tokens_details'), 'cached_tokens');
  return { promptTokens, completionTokens, cachedTokens };
};

/** A count that cannot be is none. */
const countIn = (fields: unknown, name: string): number => {
  const count = numberIn(fieldOf(fields, name));
  return count !== undefined && Number.isSafeInteger(count) && count > 0 ? count : 0;
};

const fieldOf = (fields: unknown, name: string): unknown =>
  typeof fields === 'object' && fields !== null ? Reflect.get(fields, name) : undefined;
