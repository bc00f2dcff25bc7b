/**
 * One timer for all paced streams. Streams of one pace wait in one line: each goes to its end when it has spoken, so the line stays in
 * the order of due times and a turn touches nobody whose time has not come.
 */
export interface Paced {
  /** Says the next token; false when that was the last one. */
  speak(): boolean;
  dueMs: number;
}

const TURN_MS = 1;

export class TokenPace {
  readonly #lines = new Map<number, Paced[]>();
  #timer: NodeJS.Timeout | undefined;

  add(stream: Paced, tps: number): void {
    const intervalMs = 1_000 / tps;
    const line = this.#lines.get(intervalMs) ?? [];
    this.#lines.set(intervalMs, line);
    line.push(stream);
    this.#timer ??= setInterval(() => this.#turn(), TURN_MS);
  }

  #turn(): void {
    const nowMs = performance.now();
    let isEmpty = true;
    for (const [intervalMs, line] of this.#lines) {
      let spoken = 0;
      const again: Paced[] = [];
      for (const stream of line) {
        if (stream.dueMs > nowMs) break;
        spoken += 1;
        if (!stream.speak()) continue;
        stream.dueMs += intervalMs;
        again.push(stream);
      }
      line.splice(0, spoken);
      line.push(...again);
      if (line.length > 0) isEmpty = false;
    }
    if (isEmpty) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }
}
