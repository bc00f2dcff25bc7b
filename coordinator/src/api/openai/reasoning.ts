import { CodedError } from '@lai/shared/errors';

/**
 * What a model thought before it called a tool, beside the calls: models that think go on from it when the results are there.
 * llama-server and vLLM read the first name, Ollama and newer vLLM the second.
 */
export const reasoningFields = (text: string): Record<string, string> =>
  text === '' ? {} : { reasoning_content: text, reasoning: text };

/** The words of all the APIs for how hard a model should think, as the words that every runtime knows. */
const EFFORTS: Readonly<Record<string, string>> = {
  none: 'none',
  minimal: 'low',
  low: 'low',
  medium: 'medium',
  high: 'high',
  xhigh: 'high',
  max: 'high',
};

/** Throws CodedError for another word. `param` is where it stood. */
export const effortFor = (word: string, param: string): string => {
  const effort = Object.hasOwn(EFFORTS, word) ? EFFORTS[word] : undefined;
  if (effort !== undefined) return effort;
  throw new CodedError('invalid_value', { message: `${param}: takes one of ${Object.keys(EFFORTS).join(', ')}.`, param });
};
