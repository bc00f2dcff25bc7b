import type { ErrorCode } from '@lai/shared/errors';

export interface ContextCounts {
  readonly needed: number;
  readonly limit: number;
}

/** The two numbers in a sentence about a context that is too short: the engine's, or the coordinator's estimate for the longest context. */
export const contextCounts = (message: string): ContextCounts | null => {
  const engine = /\((\d+) tokens\).*?\((\d+) tokens\)/s.exec(message);
  if (engine) return { needed: Number(engine[1]), limit: Number(engine[2]) };
  const ours = [...message.matchAll(/context of (\d+) tokens, about (\d+) needed/g)]
    .map(([, limit, needed]) => ({ needed: Number(needed), limit: Number(limit) }))
    .sort((a, b) => b.limit - a.limit)[0];
  if (ours) return ours;
  const [needed, limit] = [...message.matchAll(/\b(\d{2,})\b/g)].map(([, digits]) => Number(digits)).sort((a, b) => b - a);
  return needed === undefined || limit === undefined ? null : { needed, limit };
};

/**
 * A failure's sentence as OpenAI's clients look for it: many know a prompt that is too long by the words "maximum context length is N
 * tokens" and by nothing else. What the machines said follows.
 */
export const openAiSentence = ({ code, message }: { readonly code: ErrorCode; readonly message: string }): string => {
  if (code !== 'context_length_exceeded' || /maximum context length is \d+ tokens/.test(message)) return message;
  const counts = contextCounts(message);
  if (!counts) return message;
  return `This model's maximum context length is ${counts.limit} tokens. However, your messages resulted in ${counts.needed} tokens. ${message}`;
};
