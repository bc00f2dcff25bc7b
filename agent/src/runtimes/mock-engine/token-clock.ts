/** Called when due; returns the time of its next turn, or null when it is over. */
export type Beat = (nowMs: number) => number | null;

/**
 * One timer for all streams of an engine. Turns are rounded up to a grid of `tickMs`, so that hundreds of streams wake the
 * process together and each writes what became due; a beat that wants to go on at once gets the next turn of the event loop.
 *
 * idle --start--> armed --timer--> (beats run) --none left--> idle
 */
export class TokenClock {
  #beats = new Map<Beat, number>();
  #timer: NodeJS.Timeout | null = null;
  #immediate: NodeJS.Immediate | null = null;
  #armedForMs = Number.POSITIVE_INFINITY;
  #tickMs: () => number;

  constructor(tickMs: () => number) {
    this.#tickMs = tickMs;
  }

  now(): number {
    return performance.now();
  }

  start(beat: Beat, atMs: number): void {
    this.#beats.set(beat, atMs);
    if (atMs < this.#armedForMs) this.#arm(atMs);
  }

  stop(beat: Beat): void {
    if (this.#beats.delete(beat) && this.#beats.size === 0) this.#disarm();
  }

  close(): void {
    this.#beats.clear();
    this.#disarm();
  }

  #run(): void {
    this.#disarm();
    const nowMs = this.now();
    let earliest = Number.POSITIVE_INFINITY;
    for (const [beat, dueMs] of this.#beats) {
      let next: number | null = dueMs;
      // Half a millisecond of grace: timers fire on whole ones.
      if (dueMs <= nowMs + 0.5) {
        next = beat(nowMs);
        if (next === null) this.#beats.delete(beat);
        // A beat may have stopped itself or been stopped by another one meanwhile.
        else if (this.#beats.has(beat)) this.#beats.set(beat, next);
        else next = null;
      }
      if (next !== null && next < earliest) earliest = next;
    }
    if (this.#beats.size > 0 && earliest < this.#armedForMs) this.#arm(earliest);
  }

  #arm(dueMs: number): void {
    this.#disarm();
    const nowMs = this.now();
    this.#armedForMs = dueMs;
    if (dueMs <= nowMs) {
      this.#immediate = setImmediate(() => this.#run());
      return;
    }
    const tickMs = this.#tickMs();
    const onGridMs = Math.ceil(dueMs / tickMs) * tickMs;
    this.#timer = setTimeout(() => this.#run(), Math.max(1, onGridMs - nowMs));
  }

  #disarm(): void {
    if (this.#timer) clearTimeout(this.#timer);
    if (this.#immediate) clearImmediate(this.#immediate);
    this.#timer = null;
    this.#immediate = null;
    this.#armedForMs = Number.POSITIVE_INFINITY;
  }
}
