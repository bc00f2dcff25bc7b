import type { AttemptDeadlines } from '@lai/shared/attempt';
import type { ErrorCode } from '@lai/shared/errors';
import { MAX_EVENT_BYTES, STREAM_WINDOW_BYTES } from '@lai/shared/protocol/codec';

/** Beyond the deadlines that the agent keeps itself: for an agent that does not keep them. */
export const DEADLINE_GRACE_MS = 2_000;

/** An agent sends one event whole, even when its credit covers only a part of it. */
const STREAM_LIMIT_BYTES = 2 * STREAM_WINDOW_BYTES + MAX_EVENT_BYTES;
const NODE_LIMIT_BYTES = 2 * MAX_EVENT_BYTES;

/** True when the agent sent so much without credit, on one stream or on all of them, that it does not keep to the protocol. */
export const isBeyondCredit = (unread: { ofStream: number; ofNode: number; streams: number }): boolean =>
  unread.ofStream > STREAM_LIMIT_BYTES || unread.ofNode > NODE_LIMIT_BYTES + unread.streams * 2 * STREAM_WINDOW_BYTES;

/**
 * The coordinator's own deadlines of one accepted attempt, and its count of what the reader has not read. Pure but for its fields; time
 * is a parameter, in milliseconds of one monotonic clock.
 *
 *   accepted ──content──► answering      silent for too long in either: first_token_timeout, stall_timeout
 *        └── any time: no credit left: the reader is slow, and the node may be silent
 */
export class AttemptWatch {
  readonly #deadlines: AttemptDeadlines;
  #acceptedAtMs = 0;
  #quietSinceMs = 0;
  #hasContent = false;
  #receivedBytes = 0;
  #readBytes = 0;
  #grantedBytes = 0;

  constructor(deadlines: AttemptDeadlines) {
    this.#deadlines = deadlines;
  }

  /** Bytes that arrived and that the reader has not taken. */
  get unreadBytes(): number {
    return this.#receivedBytes - this.#readBytes;
  }

  accepted(nowMs: number): void {
    this.#acceptedAtMs = nowMs;
    this.#quietSinceMs = nowMs;
  }

  /** The request itself is still on its way to the node. */
  stillSending(nowMs: number): void {
    if (!this.#hasContent) this.#quietSinceMs = nowMs;
  }

  /** True for the first content: what is due has changed. */
  received(bytes: number, isContent: boolean, nowMs: number): boolean {
    this.#receivedBytes += bytes;
    const isFirst = isContent && !this.#hasContent;
    this.#hasContent ||= isContent;
    if (this.#hasContent) this.#quietSinceMs = nowMs;
    return isFirst;
  }

  read(bytes: number): void {
    this.#readBytes += bytes;
  }

  granted(bytes: number, nowMs: number): void {
    this.#grantedBytes += bytes;
    this.#quietSinceMs = nowMs;
  }

  /** When to look again, and what the attempt has failed with if nothing came until then. */
  due(): { readonly atMs: number; readonly code: ErrorCode } {
    const total = { atMs: this.#acceptedAtMs + this.#deadlines.totalMs + DEADLINE_GRACE_MS, code: 'deadline_exceeded' } as const;
    if (this.#receivedBytes - this.#grantedBytes >= STREAM_WINDOW_BYTES) return total;
    const silence = this.#hasContent
      ? ({ limitMs: this.#deadlines.stallMs, code: 'stall_timeout' } as const)
      : ({ limitMs: this.#deadlines.firstContentMs, code: 'first_token_timeout' } as const);
    const atMs = this.#quietSinceMs + silence.limitMs + DEADLINE_GRACE_MS;
    return atMs < total.atMs ? { atMs, code: silence.code } : total;
  }
}
