import type { AnswerChoice, AnswerDelta, CallDelta } from '@lai/shared/answer-stream';
import { Collector } from './collector.ts';

interface ToolCall {
  id: string;
  readonly type: string;
  readonly function: { name: string; arguments: string };
}

interface Choice {
  readonly index: number;
  readonly message: Record<string, unknown>;
  /** By the index that its engine gave each. */
  readonly calls: Map<number, ToolCall>;
  finish_reason: string | null;
  logprobs: { content: unknown[] | null; refusal: unknown[] | null } | null;
}

export const chatCollector = (): Collector<Choice> => new Collector('chat.completion', { begin, add, finish });

const begin = (index: number): Choice => ({
  index,
  message: { role: 'assistant', content: null, refusal: null },
  calls: new Map(),
  finish_reason: null,
  logprobs: null,
});

const finish = ({ index, message, calls, finish_reason, logprobs }: Choice): Record<string, unknown> => {
  const tool_calls = [...calls].sort(([a], [b]) => a - b).map(([, call]) => call);
  return { index, message: calls.size > 0 ? { ...message, tool_calls } : message, finish_reason, logprobs };
};

const add = (choice: Choice, { delta = {}, finish_reason, logprobs }: AnswerChoice): void => {
  choice.finish_reason = finish_reason ?? choice.finish_reason;
  if (logprobs) {
    const known = choice.logprobs ?? { content: null, refusal: null };
    choice.logprobs = {
      content: joined(known.content, logprobs['content']),
      refusal: joined(known.refusal, logprobs['refusal']),
    };
  }
  addText(choice.message, delta);
  for (const call of delta.tool_calls ?? []) addCall(choice.calls, call);
};

const addText = (message: Record<string, unknown>, { tool_calls: _, role: __, ...fields }: AnswerDelta): void => {
  for (const [field, value] of Object.entries(fields)) {
    const known = message[field];
    if (typeof value === 'string') message[field] = typeof known === 'string' ? known + value : value;
    else if (value !== null && value !== undefined) message[field] = value;
  }
};

const joined = (known: unknown[] | null, more: unknown): unknown[] | null => {
  if (!Array.isArray(more)) return known;
  const all = known ?? [];
  for (const entry of more) all.push(entry);
  return all;
};

const addCall = (calls: Map<number, ToolCall>, { index, id, type, function: fn }: CallDelta): void => {
  const place = index ?? calls.size;
  const known = calls.get(place) ?? { id: '', type: type ?? 'function', function: { name: '', arguments: '' } };
  calls.set(place, known);
  known.id ||= id ?? '';
  known.function.name ||= fn.name ?? '';
  known.function.arguments += argumentsText(fn.arguments);
};

/** As text, whatever an engine takes arguments for. */
export const argumentsText = (args: unknown): string =>
  typeof args === 'string' ? args : args === null || args === undefined ? '' : JSON.stringify(args);
