import { randomUUID } from 'node:crypto';
import type { ResponseRequest } from '@lai/shared/responses';
import type { ChatDelta, TokenCounts } from './chat-deltas.ts';
import type { OfferedTool } from './responses-tools.ts';
import type { Failure } from './wording.ts';

type Fields = Record<string, unknown>;

interface OpenItem {
  readonly kind: 'reasoning' | 'message' | 'refusal' | 'tool';
  readonly outputIndex: number;
  readonly item: Fields & { readonly id: string };
  /** Index of the chat stream's tool call. */
  readonly callIndex: number | null;
  readonly tool: OfferedTool | null;
  text: string;
}

const newId = (prefix: string): string => `${prefix}_${randomUUID().replaceAll('-', '')}`;

/**
 * Says a chat answer as a response: the events of a stream, in order and numbered, and the object they add up to.
 *
 *   start() ─► take(delta)… ─► complete() | fail()
 *
 * One item is open at a time (reasoning, message or call); what does not belong to it closes it.
 */
export class ResponseComposer {
  readonly #request: ResponseRequest;
  readonly #offered: ReadonlyMap<string, OfferedTool>;
  readonly #head: Fields;
  readonly #output: Fields[] = [];
  #open: OpenItem | null = null;
  #sequence = 0;
  #finishReason: string | null = null;
  #usage: TokenCounts | null = null;
  #isStarted = false;

  constructor(options: {
    request: ResponseRequest;
    model: string;
    offered: ReadonlyMap<string, OfferedTool>;
    createdAtSeconds: number;
  }) {
    this.#request = options.request;
    this.#offered = options.offered;
    this.#head = headOf(options.request, options.model, options.createdAtSeconds);
  }

  get output(): readonly Fields[] {
    return this.#output;
  }

  /** The first events; none the second time. */
  start(): Fields[] {
    if (this.#isStarted) return [];
    this.#isStarted = true;
    const response = this.#response('in_progress');
    return [this.#event('response.created', { response }), this.#event('response.in_progress', { response })];
  }

  take(delta: ChatDelta): Fields[] {
    switch (delta.kind) {
      case 'text':
        return [...this.#become('message'), ...this.#say('response.output_text.delta', delta.text, { logprobs: [] })];
      case 'refusal':
        return [...this.#become('refusal'), ...this.#say('response.refusal.delta', delta.text)];
      case 'reasoning':
        return [...this.#become('reasoning'), ...this.#say('response.reasoning_text.delta', delta.text)];
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

  complete(): { readonly events: Fields[]; readonly response: Fields } {
    const closing = [...this.start(), ...this.#close()];
    const isCut = this.#finishReason === 'length' || this.#finishReason === 'content_filter';
    const response = this.#response(isCut ? 'incomplete' : 'completed', {
      ...(isCut
        ? { incomplete_details: { reason: this.#finishReason === 'length' ? 'max_output_tokens' : 'content_filter' } }
        : { completed_at: Math.floor(Date.now() / 1_000) }),
    });
    return { events: [...closing, this.#event(isCut ? 'response.incomplete' : 'response.completed', { response })], response };
  }

  /** Codes that OpenAI's clients know keep their names; the others are said in the message. */
  fail({ code, message }: Failure): Fields[] {
    const opening = this.start();
    if (this.#open) this.#output.push({ ...this.#open.item, status: 'incomplete' });
    this.#open = null;
    const response = this.#response('failed', {
      error: { code: KNOWN_CODES.has(code) ? code : 'server_error', message, lai_code: code },
    });
    return [...opening, this.#event('response.failed', { response })];
  }

  #takeCall(delta: Extract<ChatDelta, { kind: 'tool' }>): Fields[] {
    const isNew = this.#open?.kind !== 'tool' || this.#open.callIndex !== delta.index;
    const opening = isNew ? [...this.#close(), ...this.#openCall(delta)] : [];
    const open = this.#open;
    if (!open || delta.arguments === '') return opening;
    open.text += delta.arguments;
    // Free text cannot be read out of half an argument object: it comes whole, at the end.
    if (open.tool?.kind === 'custom') return opening;
    return [
      ...opening,
      this.#event('response.function_call_arguments.delta', {
        item_id: open.item.id,
        output_index: open.outputIndex,
        delta: delta.arguments,
      }),
    ];
  }

  #openCall({ index, id, name }: Extract<ChatDelta, { kind: 'tool' }>): Fields[] {
    const tool = this.#offered.get(name ?? '') ?? null;
    const isCustom = tool?.kind === 'custom';
    const item = {
      id: newId(isCustom ? 'ctc' : 'fc'),
      type: isCustom ? 'custom_tool_call' : 'function_call',
      status: 'in_progress',
      call_id: id ?? newId('call'),
      name: tool?.name ?? name ?? '',
      ...(tool?.namespace ? { namespace: tool.namespace } : {}),
      ...(isCustom ? { input: '' } : { arguments: '' }),
    };
    return this.#add({ kind: 'tool', item, callIndex: index, tool });
  }

  #become(kind: 'reasoning' | 'message' | 'refusal'): Fields[] {
    if (this.#open?.kind === kind) return [];
    const closing = this.#close();
    const isReasoning = kind === 'reasoning';
    const item = isReasoning
      ? { id: newId('rs'), type: 'reasoning', status: 'in_progress', summary: [], content: [] }
      : { id: newId('msg'), type: 'message', status: 'in_progress', role: 'assistant', content: [] };
    return [
      ...closing,
      ...this.#add({ kind, item, callIndex: null, tool: null }),
      this.#event('response.content_part.added', { ...this.#place(), content_index: 0, part: partOf(kind, '') }),
    ];
  }

  #add(item: Pick<OpenItem, 'kind' | 'item' | 'callIndex' | 'tool'>): Fields[] {
    this.#open = { ...item, outputIndex: this.#output.length, text: '' };
    return [this.#event('response.output_item.added', { output_index: this.#open.outputIndex, item: item.item })];
  }

  #say(type: string, text: string, more: Fields = {}): Fields[] {
    if (this.#open) this.#open.text += text;
    return [this.#event(type, { ...this.#place(), content_index: 0, delta: text, ...more })];
  }

  #close(): Fields[] {
    const open = this.#open;
    if (!open) return [];
    const place = this.#place();
    const item = finished(open);
    const events =
      open.kind === 'tool'
        ? [this.#event(...doneCall(open, item, place))]
        : [
            this.#event(...doneText(open, place)),
            this.#event('response.content_part.done', { ...place, content_index: 0, part: partOf(open.kind, open.text) }),
          ];
    this.#output.push(item);
    this.#open = null;
    return [...events, this.#event('response.output_item.done', { output_index: open.outputIndex, item })];
  }

  #place(): Fields {
    return { item_id: this.#open?.item.id, output_index: this.#open?.outputIndex };
  }

  #event(type: string, fields: Fields): Fields {
    const sequence_number = this.#sequence;
    this.#sequence += 1;
    return { type, sequence_number, ...fields };
  }

  #response(status: string, more: Fields = {}): Fields {
    return { ...this.#head, status, output: [...this.#output], ...usageOf(this.#usage), ...more };
  }
}

const KNOWN_CODES: ReadonlySet<string> = new Set(['context_length_exceeded', 'rate_limit_exceeded', 'insufficient_quota']);

const partOf = (kind: OpenItem['kind'], text: string): Fields => {
  if (kind === 'refusal') return { type: 'refusal', refusal: text };
  return kind === 'reasoning' ? { type: 'reasoning_text', text } : { type: 'output_text', text, annotations: [], logprobs: [] };
};

const finished = ({ kind, item, tool, text }: OpenItem): Fields => {
  if (kind !== 'tool') return { ...item, status: 'completed', content: [partOf(kind, text)] };
  return tool?.kind === 'custom'
    ? { ...item, status: 'completed', input: freeText(text) }
    : { ...item, status: 'completed', arguments: text || '{}' };
};

const doneCall = ({ tool }: OpenItem, item: Fields, place: Fields): [string, Fields] =>
  tool?.kind === 'custom'
    ? ['response.custom_tool_call_input.done', { ...place, input: item['input'] }]
    : ['response.function_call_arguments.done', { ...place, name: item['name'], arguments: item['arguments'] }];

const doneText = ({ kind, text }: OpenItem, place: Fields): [string, Fields] => {
  if (kind === 'refusal') return ['response.refusal.done', { ...place, content_index: 0, refusal: text }];
  return kind === 'reasoning'
    ? ['response.reasoning_text.done', { ...place, content_index: 0, text }]
    : ['response.output_text.done', { ...place, content_index: 0, text, logprobs: [] }];
};

const freeText = (args: string): string => {
  try {
    const { input } = JSON.parse(args) as { input?: unknown };
    return typeof input === 'string' ? input : args;
  } catch {
    return args;
  }
};

/** What the client asked for, said back to it, as OpenAI does. */
const headOf = (request: ResponseRequest, model: string, createdAtSeconds: number): Fields => ({
  id: newId('resp'),
  object: 'response',
  created_at: createdAtSeconds,
  error: null,
  incomplete_details: null,
  instructions: request.instructions ?? null,
  max_output_tokens: request.max_output_tokens ?? null,
  metadata: request.metadata ?? {},
  model,
  parallel_tool_calls: request.parallel_tool_calls ?? true,
  previous_response_id: null,
  reasoning: { effort: request.reasoning?.effort ?? null, summary: null },
  store: false,
  temperature: request.temperature ?? null,
  text: request.text ?? { format: { type: 'text' } },
  tool_choice: request.tool_choice ?? 'auto',
  tools: request.tools ?? [],
  top_p: request.top_p ?? null,
  truncation: 'disabled',
  ...(request.user ? { user: request.user } : {}),
  ...(request.prompt_cache_key ? { prompt_cache_key: request.prompt_cache_key } : {}),
});

/** Absent until the runtime has counted. */
const usageOf = (usage: TokenCounts | null): Fields =>
  usage === null
    ? {}
    : {
        usage: {
          input_tokens: usage.inputTokens,
          input_tokens_details: { cached_tokens: usage.cachedTokens },
          output_tokens: usage.outputTokens,
          output_tokens_details: { reasoning_tokens: usage.reasoningTokens },
          total_tokens: usage.inputTokens + usage.outputTokens,
        },
      };
