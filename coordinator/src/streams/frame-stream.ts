import type { Frame } from '@lai/shared/attempt';

/**
 * Frames of one attempt on their way from a socket to one reader. The writer never waits: what it may write ahead is bounded by the
 * credit that `onRead` gives back. Single reader; `push` after the last frame is ignored, so that late frames of a dead attempt are
 * harmless.
 *
 *   open ──push(end | failed)──► ended ──read──► drained
 *     └───── reader leaves ────► abandoned (onAbandon)
 */
export class FrameStream implements AsyncIterableIterator<Frame> {
  readonly #frames: Frame[] = [];
  readonly #onRead: (bytes: number) => void;
  readonly #onAbandon: () => void;
  #waiting: ((result: IteratorResult<Frame>) => void) | undefined;
  #isEnded = false;
  #isAbandoned = false;

  constructor(options: { onRead?: (bytes: number) => void; onAbandon?: () => void } = {}) {
    this.#onRead = options.onRead ?? (() => {});
    this.#onAbandon = options.onAbandon ?? (() => {});
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  push(frame: Frame): void {
    if (this.#isEnded || this.#isAbandoned) return;
    this.#isEnded = frame.kind !== 'chunk';
    if (this.#waiting) {
      const deliver = this.#waiting;
      this.#waiting = undefined;
      deliver(this.#hand(frame));
    } else {
      this.#frames.push(frame);
    }
  }

  next(): Promise<IteratorResult<Frame>> {
    const frame = this.#frames.shift();
    if (frame) return Promise.resolve(this.#hand(frame));
    if (this.#isEnded || this.#isAbandoned) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  /** The reader leaves early; whoever produces the frames is told to stop. */
  return(): Promise<IteratorResult<Frame>> {
    if (!this.#isAbandoned && !(this.#isEnded && this.#frames.length === 0)) {
      this.#isAbandoned = true;
      this.#frames.length = 0;
      if (!this.#isEnded) this.#onAbandon();
    }
    this.#waiting?.({ done: true, value: undefined });
    this.#waiting = undefined;
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #hand(frame: Frame): IteratorResult<Frame> {
    if (frame.kind === 'chunk') this.#onRead(frame.bytes.length);
    return { done: false, value: frame };
  }
}
