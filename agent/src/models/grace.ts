/** Time that running work is given to finish; it can be cut shorter, and is over early when the work is done. */
export class Grace {
  readonly over: Promise<void>;
  readonly #resolve: () => void;
  #dueAtMs = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(graceMs: number) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.over = promise;
    this.#resolve = resolve;
    this.shorten(graceMs);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** From now on; never makes it longer. */
  shorten(graceMs: number): void {
    const dueAtMs = performance.now() + graceMs;
    if (this.#isOver || dueAtMs >= this.#dueAtMs) return;
    this.#dueAtMs = dueAtMs;
    clearTimeout(this.#timer);
    if (graceMs === 0) this.end();
    else this.#timer = setTimeout(() => this.end(), graceMs);
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#isOver = true;
    this.#resolve();
  }
}
