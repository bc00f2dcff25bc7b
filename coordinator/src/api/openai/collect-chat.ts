import { Collector } from './collector.ts';

interface Piece {
  readonly index?: number;
  readonly delta?: Delta;
  readonly finish_reason?: string | null;
  readonly logprobs?: { readonly content?: unknown[] | null; readonly refusal?: unknown[] | null } | null;
}

interface Delta {
  readonly tool_calls?: readonly {
    index?: number;
    id?: string;
    type?: string;
    function?: { name?: string; arguments?: string };
  }[];
  readonly [field: string]: unknown;
}

interface Choice {
  readonly index: number;
  message: Record<string, unknown>;
  finish_reason: string | null;
  logprobs: { content: unknown[] | null; refusal: unknown[] | null } | null;
}

export const chatCollector = (): Collector<Piece, Choice> => new Collector('chat.completion', begin, add);

const begin = (index: number): Choice => ({
  index,
  message: { role: 'assistant', content: null, refusal: null },
  finish_reason: null,
  logprobs: null,
});

const add = (choice: Choice, { delta = {}, finish_reason, logprobs }: Piece): void => {
  choice.finish_reason = finish_reason ?? choice.finish_reason;
  if (logprobs) {
    const known = choice.logprobs ?? { content: null, refusal: null };
    choice.logprobs = { content: joined(known.content, logprobs.content), refusal: joined(known.refusal, logprobs.refusal) };
  }
  const { tool_calls, role: _role, ...text } = delta;
  for (const [field, value] of Object.entries(text)) {
    const known = choice.message[field];
    if (typeof value === 'string') choice.message[field] = typeof known === 'string' ? known + value : value;
    else if (value !== null && value !== undefined) choice.message[field] = value;
  }
  for (const call of tool_calls ?? []) addToolCall(choice.message, call);
};

const joined = (known: unknown[] | null, more: unknown[] | null | undefined): unknown[] | null =>
  more ? [...(known ?? []), ...more] : known;

interface ToolCall {
  id: string;
  type: string;
  function: { name: string; arguments: string };
}

/** An engine's index is not trusted with the length of a list. */
const MOST_CALLS = 256;

const addToolCall = (message: Record<string, unknown>, call: NonNullable<Delta['tool_calls']>[number]): void => {
  message['tool_calls'] ??= [];
  const calls = message['tool_calls'] as ToolCall[];
  const index = Math.min(call.index ?? calls.length, calls.length, MOST_CALLS);
  const known = calls[index] ?? { id: '', type: call.type ?? 'function', function: { name: '', arguments: '' } };
  calls[index] = known;
  known.id ||= call.id ?? '';
  known.function.name ||= call.function?.name ?? '';
  known.function.arguments += call.function?.arguments ?? '';
};
