import type { OllamaMessage } from '@lai/shared/ollama';
import type { ChatMessage } from '../openai/chat-question.ts';
import { jsonOf } from '../openai/foreign-json.ts';

interface OpenCall {
  readonly id: string;
  isAnswered: boolean;
}

/** The calls of a message that have one name, or all of them, in their order. */
type Batch = OpenCall[];
const ANY_NAME = '';

/**
 * Gives Ollama's calls and results their ids: it needs none. A result belongs to the call that its `tool_call_id` names; else to the
 * first unanswered call of its `tool_name` in the newest message that has one; without a name to the first unanswered call of the newest
 * message with calls. Calls that nobody answered stay so. Work is linear in the messages.
 */
export class CallIds {
  readonly #given: ReadonlySet<string>;
  readonly #byId = new Map<string, OpenCall>();
  /** By name, the newest last; each batch turned round, so that its first call is taken off its end. */
  readonly #byName = new Map<string, Batch[]>();
  #count = 0;

  constructor(messages: readonly OllamaMessage[]) {
    const ids = messages.flatMap(({ tool_calls, tool_call_id }) => [...(tool_calls ?? []).map(({ id }) => id), tool_call_id]);
    this.#given = new Set(ids.filter((id) => typeof id === 'string'));
  }

  callsOf({ tool_calls }: OllamaMessage): Record<string, unknown>[] {
    const calls = (tool_calls ?? []).map(({ id, function: fn }) => ({ id: id || this.#newId(), fn }));
    const batches = new Map<string, Batch>();
    for (const { id, fn } of calls.toReversed()) {
      const call = { id, isAnswered: false };
      this.#byId.set(id, call);
      for (const name of new Set([fn.name, ANY_NAME])) listIn(batches, name).push(call);
    }
    for (const [name, batch] of batches) listIn(this.#byName, name).push(batch);
    return calls.map(({ id, fn }) => ({ id, type: 'function', function: { name: fn.name, arguments: textOf(fn.arguments) } }));
  }

  resultOf(message: OllamaMessage): ChatMessage {
    return { role: 'tool', tool_call_id: this.#answer(message), content: message.content ?? '' };
  }

  #answer({ tool_call_id: id, tool_name, name }: OllamaMessage): string {
    const call = id ? this.#byId.get(id) : this.#next(tool_name || name || ANY_NAME);
    if (call) call.isAnswered = true;
    return id || (call?.id ?? this.#newId());
  }

  #next(name: string): OpenCall | undefined {
    const batches = this.#byName.get(name) ?? [];
    for (let batch = batches.at(-1); batch; batch = batches.at(-1)) {
      for (let call = batch.pop(); call; call = batch.pop()) if (!call.isAnswered) return call;
      batches.pop();
    }
    return undefined;
  }

  #newId(): string {
    do this.#count += 1;
    while (this.#given.has(`call_${this.#count}`));
    return `call_${this.#count}`;
  }
}

const textOf = (args: unknown): string => (typeof args === 'string' ? args : jsonOf(args ?? {}));

const listIn = <T>(lists: Map<string, T[]>, name: string): T[] => {
  const list = lists.get(name) ?? [];
  lists.set(name, list);
  return list;
};
