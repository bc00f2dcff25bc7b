/**
 * How much one agent sends. Pure but for its counters; time is a parameter. A busy node with 400 streams of 50 tokens/s sends 20,000
 * frames of data in a second, and never 2,000 messages of control. Who sends more is slowed down through TCP; who goes on and on
 * sending more is no agent of ours.
 */
const WINDOW_MS = 1_000;
const LIMITS = { control: 2_000, data: 50_000, bytes: 64 * 1024 * 1024 } as const;
/** Windows in a row over a limit. */
const MAX_STRIKES = 10;

export type FloodVerdict =
  | { readonly kind: 'fine' }
  /** Read no more until then. */
  | { readonly kind: 'slow'; readonly waitMs: number }
  | { readonly kind: 'flood' };

export class FloodMeter {
  #windowEndsAtMs = 0;
  #counts = { control: 0, data: 0, bytes: 0 };
  #isOver = false;
  #strikes = 0;

  take(frame: { isData: boolean; bytes: number }, nowMs: number): FloodVerdict {
    if (nowMs >= this.#windowEndsAtMs) {
      this.#strikes = this.#isOver ? this.#strikes + 1 : 0;
      this.#isOver = false;
      this.#windowEndsAtMs = nowMs + WINDOW_MS;
      this.#counts = { control: 0, data: 0, bytes: 0 };
    }
    this.#counts[frame.isData ? 'data' : 'control'] += 1;
    this.#counts.bytes += frame.bytes;
    const { control, data, bytes } = this.#counts;
    if (control <= LIMITS.control && data <= LIMITS.data && bytes <= LIMITS.bytes) return { kind: 'fine' };
    this.#isOver = true;
    if (this.#strikes >= MAX_STRIKES) return { kind: 'flood' };
    return { kind: 'slow', waitMs: Math.max(1, this.#windowEndsAtMs - nowMs) };
  }
}
