import { EventSplitter } from '@lai/shared/sse';

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

interface Chunk {
  readonly choices?: readonly {
    readonly index?: number;
    /** Of a plain completion. */
    readonly text?: string | null;
    readonly delta?: {
      readonly content?: string | null;
      readonly refusal?: string | null;
      readonly reasoning_content?: string | null;
      readonly reasoning?: string | null;
      readonly tool_calls?: readonly {
        readonly index?: number;
        readonly id?: string | null;
        readonly function?: { readonly name?: string | null; readonly arguments?: string | null };
      }[];
    };
    readonly finish_reason?: string | null;
  }[];
  readonly usage?: {
    readonly prompt_tokens?: number;
    readonly completion_tokens?: number;
    readonly prompt_tokens_details?: { readonly cached_tokens?: number } | null;
    readonly completion_tokens_details?: { readonly reasoning_tokens?: number } | null;
  } | null;
}

/** Reads a runtime's stream, chat or plain completion, for the surfaces that have to say it in other words. Only the first choice: they know no others. */
export class ChatDeltas {
  readonly #splitter = new EventSplitter();
  readonly #decoder = new TextDecoder();

  push(bytes: Uint8Array): ChatDelta[] {
    return this.#splitter
      .push(this.#decoder.decode(bytes, { stream: true }))
      .flatMap((data) => deltasOf(JSON.parse(data) as Chunk));
  }
}

const deltasOf = ({ choices = [], usage }: Chunk): ChatDelta[] => {
  const deltas: ChatDelta[] = [];
  for (const { index = 0, text, delta = {}, finish_reason } of choices) {
    if (index !== 0) continue;
    const reasoning = delta.reasoning_content ?? delta.reasoning;
    if (reasoning) deltas.push({ kind: 'reasoning', text: reasoning });
    if (text) deltas.push({ kind: 'text', text });
    if (delta.content) deltas.push({ kind: 'text', text: delta.content });
    if (delta.refusal) deltas.push({ kind: 'refusal', text: delta.refusal });
    for (const call of delta.tool_calls ?? []) {
      deltas.push({
        kind: 'tool',
        index: call.index ?? 0,
        id: call.id ?? null,
        name: call.function?.name ?? null,
        arguments: call.function?.arguments ?? '',
      });
    }
    if (finish_reason) deltas.push({ kind: 'finish', reason: finish_reason });
  }
  if (usage) deltas.push({ kind: 'usage', usage: countsOf(usage) });
  return deltas;
};

const countsOf = (usage: NonNullable<Chunk['usage']>): TokenCounts => ({
  inputTokens: usage.prompt_tokens ?? 0,
  outputTokens: usage.completion_tokens ?? 0,
  cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
  reasoningTokens: usage.completion_tokens_details?.reasoning_tokens ?? 0,
});
