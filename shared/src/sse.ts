/**
 * Server-sent events as OpenAI's API uses them: `data:` lines, events separated by an empty line, comments beginning with `:`.
 * Only what that dialect needs; ids, event names and retry fields are carried by the Anthropic and Responses routes elsewhere.
 */

/** Splits text into `data` payloads as it arrives. Events may be cut anywhere, also inside a line. */
export class EventSplitter {
  #rest = '';

  /** Takes the next piece of the stream and returns the payloads of the events that it completed. */
  push(text: string): string[] {
    const all = (this.#rest + text).replaceAll('\r\n', '\n');
    const blocks = all.split('\n\n');
    this.#rest = blocks.pop() ?? '';
    return blocks.map(payloadOf).filter((data) => data !== null);
  }

  /** What is left when the stream ends without a final empty line; some engines do that. */
  finish(): string[] {
    const last = payloadOf(this.#rest);
    this.#rest = '';
    return last === null ? [] : [last];
  }
}

const payloadOf = (block: string): string | null => {
  const lines = block.split('\n').filter((line) => line.startsWith('data:'));
  if (lines.length === 0) return null;
  return lines.map((line) => line.slice(line.startsWith('data: ') ? 6 : 5)).join('\n');
};

export const DONE = '[DONE]';

export const sseData = (payload: unknown): string =>
  `data: ${typeof payload === 'string' ? payload : JSON.stringify(payload)}\n\n`;

/** A line break inside a comment would end it and start something else, so there is none. */
export const sseComment = (text: string): string => `: ${text.replaceAll(/[\r\n]+/g, ' ')}\n\n`;
