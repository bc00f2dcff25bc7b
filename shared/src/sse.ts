/**
 * Server-sent events by their grammar (WHATWG HTML, "Parsing an event stream"): a byte order mark first, lines that end in LF, CR or
 * CRLF, fields in any order with or without a space behind the colon, several `data` lines in one event, comments.
 */
export type SseEvent =
  /** `name` is empty without an `event` field; data lines are joined with line feeds. */
  | { readonly kind: 'event'; readonly name: string; readonly data: string }
  /** Lines that are no fields. A browser ignores them; engines write their last words so. */
  | { readonly kind: 'stray'; readonly text: string };

const LINE_END = /\r\n|\n|\r/;
/** As text that was decoded as UTF-8, and as latin1. */
const BYTE_ORDER_MARK = /^(?:\uFEFF|\u00EF\u00BB\u00BF)/;
const FIELD_NAME = /^[A-Za-z][\w-]*(?::|$)/;

/** Reads a stream as it arrives; the text may be cut anywhere. Work is linear in its length. */
export class SseReader {
  readonly #unfinishedLine: string[] = [];
  #isFirstLine = true;
  #endedWithCr = false;
  #name = '';
  #data: string[] = [];
  #unknown: string[] = [];
  #hasField = false;
  #unfinishedLength = 0;
  #eventLength = 0;

  /** Takes the next piece of the stream and returns the events that it completed. */
  push(piece: string): SseEvent[] {
    const text = this.#endedWithCr && piece.startsWith('\n') ? piece.slice(1) : piece;
    if (piece !== '') this.#endedWithCr = text === '' ? false : text.endsWith('\r');
    const lines = text.split(LINE_END);
    const rest = lines.pop() ?? '';
    if (lines.length > 0) {
      lines[0] = this.#unfinishedLine.splice(0).join('') + lines[0];
      this.#unfinishedLength = 0;
    }
    const events = lines.flatMap((line) => this.#takeLine(line));
    if (rest !== '') this.#unfinishedLine.push(rest);
    this.#unfinishedLength += rest.length;
    return events;
  }

  /** What is left when the stream ends without a final empty line; some engines do that. */
  finish(): SseEvent[] {
    this.#endedWithCr = false;
    return this.push('\n\n');
  }

  /** Length of what waits for its event to be complete. */
  get pendingLength(): number {
    return this.#eventLength + this.#unfinishedLength;
  }

  #takeLine(whole: string): SseEvent[] {
    const line = this.#isFirstLine ? whole.replace(BYTE_ORDER_MARK, '') : whole;
    this.#isFirstLine = false;
    if (line === '') return this.#endEvent();
    this.#eventLength += line.length;
    const colon = line.indexOf(':');
    const value = colon === -1 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    switch (colon === -1 ? line : line.slice(0, colon)) {
      case 'data':
        this.#data.push(value);
        this.#hasField = true;
        break;
      case 'event':
        this.#name = value;
        this.#hasField = true;
        break;
      case '':
      case 'id':
      case 'retry':
        this.#hasField = true;
        break;
      default:
        this.#unknown.push(line);
    }
    return [];
  }

  #endEvent(): SseEvent[] {
    const events: SseEvent[] = this.#data.length > 0 ? [{ kind: 'event', name: this.#name, data: this.#data.join('\n') }] : [];
    // Beside known fields an unknown one is a newer field; alone it is text.
    const stray = this.#hasField ? this.#unknown.filter((line) => !FIELD_NAME.test(line)) : this.#unknown;
    if (stray.length > 0) events.push({ kind: 'stray', text: stray.join('\n') });
    this.#name = '';
    this.#data = [];
    this.#unknown = [];
    this.#hasField = false;
    this.#eventLength = 0;
    return events;
  }
}

/** The `data` of a stream's events, for readers that need nothing else of them. */
export class EventSplitter {
  readonly #reader = new SseReader();

  push(text: string): string[] {
    return dataOf(this.#reader.push(text));
  }

  finish(): string[] {
    return dataOf(this.#reader.finish());
  }
}

const dataOf = (events: readonly SseEvent[]): string[] => events.flatMap((event) => (event.kind === 'event' ? [event.data] : []));

export const DONE = '[DONE]';

export const sseData = (payload: unknown): string =>
  `data: ${typeof payload === 'string' ? payload : JSON.stringify(payload)}\n\n`;

/** A line break inside a comment would end it and start something else, so there is none. */
export const sseComment = (text: string): string => `: ${text.replaceAll(/[\r\n]+/g, ' ')}\n\n`;
