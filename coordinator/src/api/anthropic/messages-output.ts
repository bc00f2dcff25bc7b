import { randomUUID } from 'node:crypto';
import type { ChatDelta, TokenCounts } from '../openai/chat-deltas.ts';
import { argumentsIn } from '../openai/foreign-json.ts';
import type { Failure } from '../openai/wording.ts';
import { anthropicErrorBody } from './error-envelope.ts';

type Fields = Record<string, unknown>;

interface OpenBlock {
  readonly kind: 'thinking' | 'text' | 'tool';
  readonly callIndex: number | null;
  readonly block: Fields;
  /** Of a tool: the arguments as they came, in pieces. */
  text: string;
}

const STOP_REASONS: Readonly<Record<string, string>> = {
  stop: 'end_turn',
  length: 'max_tokens',
  tool_calls: 'tool_use',
  content_filter: 'refusal',
};

/** Fields that must be there and are only Anthropic's to fill. */
const NOTHING_OF = { stop_details: null, container: null };

/**
 * Says a chat answer as an Anthropic message: the events of a stream, and the message they add up to.
 *
 *   start() ─► take(delta)… ─► complete() | fail()
 *
 * One block is open at a time (thinking, text or call); what does not belong to it closes it.
 */
export class MessageComposer {
  readonly #model: string;
  readonly #inputTokens: number;
  readonly #id = `msg_${randomUUID().replaceAll('-', '')}`;
  readonly #content: Fields[] = [];
  #open: OpenBlock | null = null;
  #finishReason: string | null = null;
  #usage: TokenCounts | null = null;
  #isStarted = false;

  /** `inputTokens` is what is said of the prompt before the runtime has counted it. */
  constructor(options: { model: string; inputTokens: number }) {
    this.#model = options.model;
    this.#inputTokens = options.inputTokens;
  }

  /** The first event; none the second time. */
  start(): Fields[] {
    if (this.#isStarted) return [];
    this.#isStarted = true;
    return [{ type: 'message_start', message: this.#message() }];
  }

  take(delta: ChatDelta): Fields[] {
    switch (delta.kind) {
      case 'text':
      case 'refusal':
        return this.#say(
          'text',
          { type: 'text', text: '', citations: null },
          { type: 'text_delta', text: delta.text },
          delta.text,
        );
      case 'reasoning':
        return this.#say(
          'thinking',
          { type: 'thinking', thinking: '', signature: '' },
          { type: 'thinking_delta', thinking: delta.text },
          delta.text,
        );
      case 'tool':
        return this.#takeCall(delta);
      case 'finish':
        this.#finishReason = delta.reason;
        return [];
      case 'usage':
        this.#usage = delta.usage;
        return [];
    }
  }

  complete(): { readonly events: Fields[]; readonly message: Fields } {
    const closing = [...this.start(), ...this.#close()];
    const hasCall = this.#content.some((block) => block['type'] === 'tool_use');
    const stop_reason =
      hasCall && this.#finishReason === 'stop' ? 'tool_use' : (STOP_REASONS[this.#finishReason ?? ''] ?? 'end_turn');
    const message = { ...this.#message(), stop_reason };
    return {
      events: [
        ...closing,
        { type: 'message_delta', delta: { stop_reason, stop_sequence: null, ...NOTHING_OF }, usage: this.#usageFields() },
        { type: 'message_stop' },
      ],
      message,
    };
  }

  fail(failure: Failure, requestId: string): Fields[] {
    return [anthropicErrorBody(failure, requestId)];
  }

  #takeCall({ index, id, name, arguments: args }: Extract<ChatDelta, { kind: 'tool' }>): Fields[] {
    const isNew = this.#open?.kind !== 'tool' || this.#open.callIndex !== index;
    const block = {
      type: 'tool_use',
      id: id ?? `toolu_${randomUUID().replaceAll('-', '')}`,
      name: name ?? '',
      input: {},
      caller: { type: 'direct' },
    };
    const opening = isNew ? this.#begin({ kind: 'tool', callIndex: index, block, text: '' }) : [];
    if (args === '') return opening;
    if (this.#open) this.#open.text += args;
    return [...opening, this.#delta({ type: 'input_json_delta', partial_json: args })];
  }

  #say(kind: 'thinking' | 'text', block: Fields, delta: Fields, text: string): Fields[] {
    const opening = this.#open?.kind === kind ? [] : this.#begin({ kind, callIndex: null, block, text: '' });
    if (this.#open) this.#open.text += text;
    return [...opening, this.#delta(delta)];
  }

  #begin(open: OpenBlock): Fields[] {
    const closing = this.#close();
    this.#open = open;
    return [...closing, { type: 'content_block_start', index: this.#content.length, content_block: open.block }];
  }

  #delta(delta: Fields): Fields {
    return { type: 'content_block_delta', index: this.#content.length, delta };
  }

  #close(): Fields[] {
    if (!this.#open) return [];
    const index = this.#content.length;
    this.#content.push(finished(this.#open));
    this.#open = null;
    return [{ type: 'content_block_stop', index }];
  }

  #message(): Fields {
    return {
      id: this.#id,
      type: 'message',
      role: 'assistant',
      model: this.#model,
      content: [...this.#content],
      stop_reason: null,
      stop_sequence: null,
      ...NOTHING_OF,
      usage: { ...this.#usageFields(), cache_creation: null, inference_geo: null, service_tier: null },
    };
  }

  /** Anthropic counts what came from a cache apart from the rest of the input. */
  #usageFields(): Fields {
    const { inputTokens = this.#inputTokens, outputTokens = 0, cachedTokens = 0 } = this.#usage ?? {};
    return {
      input_tokens: Math.max(0, inputTokens - cachedTokens),
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: cachedTokens,
      output_tokens: outputTokens,
      output_tokens_details: null,
      server_tool_use: null,
    };
  }
}

const finished = ({ kind, block, text }: OpenBlock): Fields => {
  if (kind === 'text') return { ...block, text };
  return kind === 'thinking' ? { ...block, thinking: text } : { ...block, input: argumentsIn(text) };
};
