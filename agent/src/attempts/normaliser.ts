import { randomUUID } from 'node:crypto';
import { type CallState, repairCalls } from './normaliser-calls.ts';

/** A call's next piece as llama-server, vLLM and OpenAI write it. Whatever looks otherwise is taken apart and looked at. */
const NEXT_PIECE =
  /"tool_calls"\s*:\s*\[\s*\{\s*"index"\s*:\s*(\d+)\s*,\s*"function"\s*:\s*\{\s*"arguments"\s*:\s*"(?:[^"\\]|\\.)*"\s*\}\s*\}\s*\]/;
const SUSPECT = /"(?:usage|role|reasoning|tool_calls)"/;
const ROLE = /"role"\s*:\s*(?:"[a-z]*"|null)\s*(,?)\s*/;
const DELTA = /"delta"\s*:\s*\{/;
const REASONING = /"reasoning"\s*:\s*("(?:[^"\\]|\\.)*")/;
/** One level of braces inside: `prompt_tokens_details`. */
const USAGE = /(,?)\s*"usage"\s*:\s*\{(?:[^{}]|\{[^{}]*\})*\}\s*(,?)/;
const STOP = /"finish_reason"\s*:\s*"stop"/;

/**
 * Mends what engines are known to get wrong in a chunk, so that strict clients can read it. A healthy chunk costs one search for
 * suspicious words and stays as it is, byte for byte; mending is cutting and pasting of text, only calls are parsed and written anew.
 * Names in quotes before a colon can only be keys here: a quote inside of a JSON string is escaped. State of one stream.
 *
 * Strings are latin1: one character is one byte.
 */
export class Normaliser {
  readonly #roles = new Set<number>();
  readonly #calls: CallState = new Map();
  #usage: string | null = null;
  /** Any chunk of the stream, for what all of them say. */
  #lastSeen = '';

  /** The chunk as clients need it; the very same string when there is nothing to mend. */
  mend(chunk: string): string {
    // One search for all of the words: nearly every chunk of a chat ends here.
    if (this.#roles.size > 0 && this.#calls.size === 0 && !SUSPECT.test(chunk)) return chunk;
    this.#lastSeen = chunk;
    // First, because arguments that are no text yet may have any of the other keys in them.
    let text = chunk.includes('"tool_calls"') ? this.#withWholeCalls(chunk) : chunk;
    if (text.includes('"usage"')) text = this.#withoutUsage(text);
    if (!text.includes('"delta"')) return withLogprobs(text);
    if (this.#roles.size === 0 || text.includes('"role"')) text = this.#withOneRole(text);
    if (text.includes('"reasoning"') && !text.includes('"reasoning_content"')) {
      text = text.replace(REASONING, (whole, words: string) => `${whole},"reasoning_content":${words}`);
    }
    // Clients wait for this word before they run what was called.
    if (this.#calls.size > 0 && text.includes('"stop"')) text = text.replace(STOP, '"finish_reason":"tool_calls"');
    return text;
  }

  /** Usage that only stood on chunks with content, as the chunk of its own that clients look for; null when there is none. */
  usageChunk(): string | null {
    if (this.#usage === null) return null;
    try {
      const { choices: _, usage: __, ...head } = JSON.parse(this.#lastSeen.slice(this.#lastSeen.indexOf('{')));
      return `data: ${JSON.stringify({ ...head, choices: [] }).slice(0, -1)},${this.#usage}}\n\n`;
    } catch {
      return null;
    }
  }

  #withoutUsage(chunk: string): string {
    const match = USAGE.exec(chunk);
    if (!match) return chunk;
    const [whole, before, after] = match;
    const usage = whole.slice(whole.indexOf('"usage"')).replace(/\s*,?$/, '');
    // Zeros on every chunk are one of Ollama's habits: they say nothing.
    if (/"(?:prompt|completion)_tokens"\s*:\s*[1-9]/.test(usage)) this.#usage = usage;
    return chunk.replace(whole, before && after ? ',' : '');
  }

  #withOneRole(chunk: string): string {
    const choice = Number(/"index"\s*:\s*(\d+)/.exec(chunk.slice(0, chunk.search(DELTA)))?.[1] ?? 0);
    const match = ROLE.exec(chunk);
    if (match && this.#roles.has(choice)) {
      // The last of several keys leaves the comma before it.
      return match[1] ? chunk.replace(match[0], '') : chunk.replace(/,?\s*"role"\s*:\s*(?:"[a-z]*"|null)/, '');
    }
    // The word alone, at the end of what is said.
    if (!match && this.#roles.has(choice)) return chunk;
    this.#roles.add(choice);
    if (!match)
      return chunk.replace(DELTA, (delta) => `${delta}"role":"assistant"${/^\s*\}/.test(afterOf(chunk, delta)) ? '' : ','}`);
    return match[0].includes('"assistant"') ? chunk : chunk.replace(ROLE, (_, comma: string) => `"role":"assistant"${comma}`);
  }

  #withWholeCalls(chunk: string): string {
    const next = NEXT_PIECE.exec(chunk);
    if (next && this.#calls.has(Number(next[1]))) return chunk;
    return repairCalls(chunk, this.#calls, () => `call_${randomUUID().replaceAll('-', '').slice(0, 24)}`);
  }
}

/** Plain completions must say that there are none. */
const withLogprobs = (chunk: string): string =>
  chunk.includes('"logprobs"') ? chunk : chunk.replace(/"finish_reason"\s*:/, (key) => `"logprobs":null,${key}`);

const afterOf = (text: string, piece: string): string => text.slice(text.indexOf(piece) + piece.length);
