const WINDOW_MS = 1_000;
/**
 * Per second and connection. `control`: messages beyond those that the coordinator's own attempts and commands call for. `status`: an agent
 * sends at most ten snapshots a second. `controlBytes`: what is parsed, which costs far more than what is passed on.
 */
const LIMITS = {
  control: 2_000,
  status: 40,
  data: 50_000,
  controlBytes: 2 * 1024 * 1024,
  bytes: 64 * 1024 * 1024,
} as const;
/** Each running attempt allows this many frames of data a second on top. */
const DATA_PER_STREAM = 500;
/** Windows in a row over a limit. */
const MAX_STRIKES = 10;
/** No answer to an attempt or a command is larger. */
const EXPECTED_BYTES = 16 * 1024;
/** Expected messages that never came are kept up to this many, so that the count has a bound. */
const MOST_EXPECTED = 100_000;

export type FloodVerdict =
  | { readonly kind: 'fine' }
  /** Read no more until then. */
  | { readonly kind: 'slow'; readonly waitMs: number }
  | { readonly kind: 'flood' };

type FrameKind = 'control' | 'status' | 'data';

/**
 * Counts what one agent sends. Time is a parameter. Answers to what the coordinator asked for are expected and do not count as control:
 * how many there are is the coordinator's doing. If an agent exceeds a limit, the coordinator pauses reading and TCP slows the agent
 * down. If the agent exceeds a limit in ten seconds in a row, its connection is closed.
 */
export class FloodMeter {
  #windowEndsAtMs = 0;
  #counts = { control: 0, status: 0, data: 0, controlBytes: 0, bytes: 0 };
  #expected = 0;
  #isOver = false;
  #strikes = 0;

  /** The coordinator has asked for something that this many messages answer. */
  expect(messages: number): void {
    this.#expected = Math.min(MOST_EXPECTED, this.#expected + messages);
  }

  /** `streams`: attempts that run on the node. A message that turned out to be a snapshot is counted once more, as `status` of 0 bytes. */
  take(frame: { kind: FrameKind; bytes: number }, streams: number, nowMs: number): FloodVerdict {
    if (nowMs >= this.#windowEndsAtMs) {
      this.#strikes = this.#isOver ? this.#strikes + 1 : 0;
      this.#isOver = false;
      this.#windowEndsAtMs = nowMs + WINDOW_MS;
      this.#counts = { control: 0, status: 0, data: 0, controlBytes: 0, bytes: 0 };
    }
    const isExpected = frame.kind === 'control' && frame.bytes <= EXPECTED_BYTES && this.#expected > 0;
    if (isExpected) this.#expected -= 1;
    else this.#counts[frame.kind] += 1;
    if (!isExpected && frame.kind !== 'data') this.#counts.controlBytes += frame.bytes;
    this.#counts.bytes += frame.bytes;
    if (!this.#isBeyond(streams)) return { kind: 'fine' };
    this.#isOver = true;
    if (this.#strikes >= MAX_STRIKES) return { kind: 'flood' };
    return { kind: 'slow', waitMs: Math.max(1, this.#windowEndsAtMs - nowMs) };
  }

  #isBeyond(streams: number): boolean {
    const { control, status, data, controlBytes, bytes } = this.#counts;
    return (
      control > LIMITS.control ||
      status > LIMITS.status ||
      data > LIMITS.data + DATA_PER_STREAM * streams ||
      controlBytes > LIMITS.controlBytes ||
      bytes > LIMITS.bytes
    );
  }
}
