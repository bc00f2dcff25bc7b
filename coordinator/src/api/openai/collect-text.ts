import type { AnswerChoice } from '@lai/shared/answer-stream';
import { Collector } from './collector.ts';

interface Choice {
  readonly index: number;
  text: string;
  logprobs: Record<string, unknown> | null;
  finish_reason: string | null;
}

export const textCollector = (): Collector<Choice> => new Collector('text_completion', { begin, add });

const begin = (index: number): Choice => ({ index, text: '', logprobs: null, finish_reason: null });

const add = (choice: Choice, { text, finish_reason, logprobs }: AnswerChoice): void => {
  choice.text += text ?? '';
  choice.finish_reason = finish_reason ?? choice.finish_reason;
  if (logprobs) choice.logprobs = joined(choice.logprobs, logprobs);
};

/** Every field of the old logprobs object is a list with one entry per token. */
const joined = (known: Record<string, unknown> | null, more: Readonly<Record<string, unknown>>): Record<string, unknown> => {
  const all = known ?? {};
  for (const [field, list] of Object.entries(more)) {
    const before = all[field];
    if (Array.isArray(before) && Array.isArray(list)) for (const entry of list) before.push(entry);
    else all[field] = list ?? before;
  }
  return all;
};
