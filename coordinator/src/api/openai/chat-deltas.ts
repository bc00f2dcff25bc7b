import type { AnswerChoice, AnswerChunk } from '@lai/shared/answer-stream';
import { numberIn } from '@lai/shared/exact-json';
import { CallTurns } from './call-turns.ts';
import { ChunkReader, UnreadableAnswer } from './chunk-reader.ts';
import { argumentsText } from './collect-chat.ts';

export interface TokenCounts {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cachedTokens: number;
  readonly reasoningTokens: number;
}

/** What a chat stream says, one thing at a time. */
export type ChatDelta =
  | { readonly kind: 'text' | 'reasoning' | 'refusal'; readonly text: string }
  /** `id` and `name` come with the first piece of a call. */
  | {
      readonly kind: 'tool';
      readonly index: number;
      readonly id: string | null;
      readonly name: string | null;
      readonly arguments: string;
    }
  | { readonly kind: 'finish'; readonly reason: string }
  | { readonly kind: 'usage'; readonly usage: TokenCounts };

/**
 * Reads a runtime's stream, chat or plain completion, for the surfaces that have to say it in other words: one item after another, and
 * only the first choice, since they know no others. Throws UnreadableAnswer, at the end also when there was no choice at all.
 */
export class ChatDeltas {
  readonly #reader = new ChunkReader();
  readonly #turns = new CallTurns();
  #hasChoice = false;

  push(bytes: Uint8Array): ChatDelta[] {
    return this.#read(this.#reader.push(bytes));
  }

  /** What is left at the end of the answer. */
  finish(): ChatDelta[] {
    const rest = this.#read(this.#reader.finish());
    if (!this.#hasChoice) throw new UnreadableAnswer('the answer has no choices');
    return [...rest, ...this.#turns.finish()];
  }

  #read(chunks: readonly AnswerChunk[]): ChatDelta[] {
    this.#hasChoice ||= chunks.some(({ choices }) => choices.some(isFirst));
    return chunks.flatMap(deltasOf).flatMap((delta) => this.#turns.take(delta));
  }
}

const isFirst = ({ index }: AnswerChoice): boolean => index === 0;

const deltasOf = ({ choices, usage }: AnswerChunk): ChatDelta[] => [
  ...choices.filter(isFirst).flatMap(choiceDeltas),
  ...(typeof usage === 'object' && usage !== null ? [{ kind: 'usage' as const, usage: countsOf(usage) }] : []),
];

const choiceDeltas = ({ text, delta = {}, finish_reason }: AnswerChoice): ChatDelta[] => {
  const deltas: ChatDelta[] = [];
  const reasoning = delta.reasoning_content ?? delta.reasoning;
  if (reasoning) deltas.push({ kind: 'reasoning', text: reasoning });
  if (text) deltas.push({ kind: 'text', text });
  if (delta.content) deltas.push({ kind: 'text', text: delta.content });
  if (delta.refusal) deltas.push({ kind: 'refusal', text: delta.refusal });
  for (const { index, id, function: fn } of delta.tool_calls ?? [])
    deltas.push({
      kind: 'tool',
      index: index ?? 0,
      id: id ?? null,
      name: fn.name ?? null,
      arguments: argumentsText(fn.arguments),
    });
  if (finish_reason) deltas.push({ kind: 'finish', reason: finish_reason });
  return deltas;
};

const countsOf = (usage: object): TokenCounts => ({
  inputTokens: countIn(usage, 'prompt_tokens'),
  outputTokens: countIn(usage, 'completion_tokens'),
  cachedTokens: countIn(Reflect.get(usage, 'prompt_tokens_details'), 'cached_tokens'),
  reasoningTokens: countIn(Reflect.get(usage, 'completion_tokens_details'), 'reasoning_tokens'),
});

/** A count that cannot be is none. */
const countIn = (fields: unknown, name: string): number => {
  const count = typeof fields === 'object' && fields !== null ? numberIn(Reflect.get(fields, name)) : undefined;
  return count !== undefined && Number.isSafeInteger(count) && count > 0 ? count : 0;
};
