import { type CallState, repairCall } from './answer-calls.ts';
import type { AnswerChoice, AnswerChunk } from './answer-stream.ts';
import { usageOf } from './answer-usage.ts';

/**
 * Mends what engines are known to get wrong in a chunk, so that strict clients can read it. State of one stream; a healthy chunk stays
 * as it is.
 */
export class Normaliser {
  readonly #roles = new Set<number>();
  /** By choice. */
  readonly #calls = new Map<number, CallState>();
  #usage: unknown = null;
  /** What all chunks of the stream say. */
  #head: Record<string, unknown> = {};

  /** Changes the chunk in place, and returns whether it did. */
  mend(chunk: AnswerChunk): boolean {
    const { choices, usage: _, ...head } = chunk;
    this.#head = head;
    const isUsageMoved = this.#moveUsage(chunk);
    return choices.map((choice) => this.#mendChoice(choice)).includes(true) || isUsageMoved;
  }

  /** Usage that only stood on chunks with content, as the chunk of its own that clients look for; null when there is none. */
  usageChunk(): Record<string, unknown> | null {
    return this.#usage === null ? null : { ...this.#head, choices: [], usage: this.#usage };
  }

  #moveUsage(chunk: AnswerChunk): boolean {
    if (typeof chunk.usage !== 'object' || chunk.usage === null) return false;
    if (usageOf(chunk.usage) !== null) this.#usage = chunk.usage;
    delete chunk.usage;
    return true;
  }

  #mendChoice(choice: AnswerChoice): boolean {
    const { delta, index } = choice;
    if (delta === undefined) return withLogprobs(choice);
    let isMended = false;
    const calls = this.#calls.get(index) ?? new Map<number, string>();
    for (const call of delta.tool_calls ?? []) {
      this.#calls.set(index, calls);
      isMended = repairCall(call, calls, () => `call_${crypto.randomUUID().replaceAll('-', '').slice(0, 24)}`) || isMended;
    }
    if (typeof delta.reasoning === 'string' && typeof delta.reasoning_content !== 'string') {
      delta.reasoning_content = delta.reasoning;
      isMended = true;
    }
    // Clients wait for this word before they run what was called.
    if (calls.size > 0 && choice.finish_reason === 'stop') {
      choice.finish_reason = 'tool_calls';
      isMended = true;
    }
    return this.#mendRole(choice) || isMended;
  }

  /** Once for each choice, in its first chunk. */
  #mendRole(choice: AnswerChoice): boolean {
    const { delta = {}, index } = choice;
    const isFirst = !this.#roles.has(index);
    this.#roles.add(index);
    if (isFirst && delta['role'] === 'assistant') return false;
    if (!isFirst && !('role' in delta)) return false;
    const { role: _, ...rest } = delta;
    choice.delta = isFirst ? { role: 'assistant', ...rest } : rest;
    return true;
  }
}

/** Plain completions must say that there are none. */
const withLogprobs = (choice: AnswerChoice): boolean => {
  if (choice.logprobs !== undefined) return false;
  choice.logprobs = null;
  return true;
};
