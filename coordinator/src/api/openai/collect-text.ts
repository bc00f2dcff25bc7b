import { Collector } from './collector.ts';

interface Piece {
  readonly index?: number;
  readonly text?: string;
  readonly finish_reason?: string | null;
  readonly logprobs?: Readonly<Record<string, unknown>> | null;
}

interface Choice {
  readonly index: number;
  text: string;
  logprobs: Record<string, unknown> | null;
  finish_reason: string | null;
}

export const textCollector = (): Collector<Piece, Choice> => new Collector('text_completion', begin, add);

const begin = (index: number): Choice => ({ index, text: '', logprobs: null, finish_reason: null });

const add = (choice: Choice, { text = '', finish_reason, logprobs }: Piece): void => {
  choice.text += text;
  choice.finish_reason = finish_reason ?? choice.finish_reason;
  if (logprobs) choice.logprobs = joined(choice.logprobs, logprobs);
};

/** Every field of the old logprobs object is a list with one entry per token. */
const joined = (known: Record<string, unknown> | null, more: Readonly<Record<string, unknown>>): Record<string, unknown> => {
  const all = { ...known };
  for (const [field, list] of Object.entries(more)) {
    const before = all[field];
    all[field] = Array.isArray(before) && Array.isArray(list) ? [...before, ...list] : (list ?? before);
  }
  return all;
};
