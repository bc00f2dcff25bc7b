/** Only these finish an answer. Every other word (abort, error, cancelled) tells that the engine did not. */
export const FINISH_REASONS = ['stop', 'length', 'tool_calls', 'function_call', 'content_filter'] as const;
export type FinishReason = (typeof FINISH_REASONS)[number];

export const isFinishReason = (word: unknown): word is FinishReason => FINISH_REASONS.some((reason) => reason === word);

/** Whether an engine's JSON object reports an error. Programs that fill in every field say `"error": null`, or an empty one, when there is none. */
export const saysError = ({ error, object, type }: Readonly<Record<string, unknown>>): boolean => {
  if (object === 'error' || type === 'error') return true;
  const isEmpty = error === undefined || error === null || error === '' || error === false;
  return !isEmpty && !(typeof error === 'object' && Object.keys(error).length === 0);
};
