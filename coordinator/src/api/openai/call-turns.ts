import type { ChatDelta } from './chat-deltas.ts';

type CallPiece = Extract<ChatDelta, { kind: 'tool' }>;

interface Open {
  readonly index: number;
  readonly shape: JsonShape;
}

interface WaitingCall {
  readonly kind: 'tool';
  readonly index: number;
  id: string | null;
  name: string | null;
  readonly pieces: string[];
}
interface WaitingText {
  readonly kind: 'text' | 'reasoning' | 'refusal';
  readonly pieces: string[];
}

/**
 * Puts pieces of calls, which engines may interleave, in turn: surfaces that say one item after another get each call as one run of
 * pieces. A call stays open until its arguments are a whole object; what comes meanwhile waits behind it. Pieces belong to a call by its
 * index. Work is linear in the pieces.
 */
export class CallTurns {
  #open: Open | null = null;
  #waiting: (WaitingCall | WaitingText)[] = [];
  readonly #waitingCalls = new Map<number, WaitingCall>();
  readonly #begun = new Set<number>();

  take(delta: ChatDelta): ChatDelta[] {
    if (delta.kind === 'finish' || delta.kind === 'usage') return [delta];
    if (delta.kind === 'tool' && delta.index === this.#open?.index) {
      this.#open.shape.read(delta.arguments);
      return [delta, ...this.#next()];
    }
    this.#wait(delta);
    return this.#next();
  }

  /** The answer is over: what still waits is said as it is. */
  finish(): ChatDelta[] {
    return this.#next({ isOver: true });
  }

  #wait(delta: Exclude<ChatDelta, { kind: 'finish' | 'usage' }>): void {
    const last = this.#waiting.at(-1);
    if (delta.kind === 'tool') this.#waitCall(delta);
    else if (last?.kind === delta.kind) last.pieces.push(delta.text);
    else this.#waiting.push({ kind: delta.kind, pieces: [delta.text] });
  }

  #waitCall({ index, id, name, arguments: args }: CallPiece): void {
    // It was whole: only space may follow.
    if (this.#begun.has(index)) return;
    const known = this.#waitingCalls.get(index);
    if (known) {
      known.id ||= id;
      known.name ||= name;
      known.pieces.push(args);
      return;
    }
    const call: WaitingCall = { kind: 'tool', index, id, name, pieces: [args] };
    this.#waitingCalls.set(index, call);
    this.#waiting.push(call);
  }

  #next({ isOver = false } = {}): ChatDelta[] {
    const said: ChatDelta[] = [];
    let count = 0;
    for (const item of this.#waiting) {
      const isFree = this.#open === null || this.#open.shape.isWhole;
      if (!isOver && (!isFree || (item.kind === 'tool' && !item.name))) break;
      said.push(this.#begin(item));
      count += 1;
    }
    if (count > 0) this.#waiting = this.#waiting.slice(count);
    return said;
  }

  #begin(item: WaitingCall | WaitingText): ChatDelta {
    const text = item.pieces.join('');
    this.#open = null;
    if (item.kind !== 'tool') return { kind: item.kind, text };
    const { index, id, name } = item;
    this.#waitingCalls.delete(index);
    this.#begun.add(index);
    this.#open = { index, shape: new JsonShape() };
    this.#open.shape.read(text);
    return { kind: 'tool', index, id, name, arguments: text };
  }
}

/** Whether a text that comes in pieces is a whole JSON object or list by now. */
class JsonShape {
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  #hasClosed = false;

  get isWhole(): boolean {
    return this.#hasClosed;
  }

  read(text: string): void {
    for (const character of text) {
      if (this.#isInString) this.#readInString(character);
      else if (character === '"') this.#isInString = true;
      else if (character === '{' || character === '[') this.#depth += 1;
      else if (character === '}' || character === ']') {
        this.#depth -= 1;
        this.#hasClosed ||= this.#depth <= 0;
      }
    }
  }

  #readInString(character: string): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (character === '\\') this.#isEscaped = true;
    else if (character === '"') this.#isInString = false;
  }
}
