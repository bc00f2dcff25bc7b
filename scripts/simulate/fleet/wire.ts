import type { AttemptRequest } from '../../../coordinator/src/nodes/node-session.ts';
import type { AttemptTimings, ChunkKind, Usage } from '../../../shared/src/attempt.ts';
import type { ErrorCode } from '../../../shared/src/errors.ts';
import type { NodeSnapshot } from '../../../shared/src/node.ts';
import type { Random } from '../random.ts';
import type { ProcessClock, Timeline } from '../timeline.ts';

export type ToNode =
  | { readonly type: 'attempt.start'; readonly request: AttemptRequest }
  | { readonly type: 'attempt.cancel'; readonly attemptId: string }
  | { readonly type: 'model.load'; readonly commandId: string; readonly model: string }
  | { readonly type: 'ping' }
  | { readonly type: 'close' };

export type ToReplica =
  | { readonly type: 'node.status'; readonly snapshot: NodeSnapshot }
  | { readonly type: 'attempt.accept'; readonly attemptId: string }
  | { readonly type: 'attempt.chunk'; readonly attemptId: string; readonly chunk: ChunkKind; readonly bytes: Uint8Array }
  | { readonly type: 'attempt.end'; readonly attemptId: string; readonly usage: Usage; readonly timings: AttemptTimings }
  | { readonly type: 'attempt.fail'; readonly attemptId: string; readonly code: ErrorCode }
  | { readonly type: 'command.result'; readonly commandId: string; readonly code: ErrorCode | null }
  | { readonly type: 'pong' }
  | { readonly type: 'close' };

interface End<In> {
  readonly clock: ProcessClock;
  receive(message: In): void;
}

/**
 * One TCP connection: what is sent arrives in order, a little later, or not at all once an end is closed. While it is silent nothing
 * arrives; afterwards everything does at once, as the kernel sends it again.
 */
export class Wire {
  readonly #timeline: Timeline;
  readonly #random: Random;
  #node: End<ToNode> | null = null;
  #replica: End<ToReplica> | null = null;
  #isSilent = false;
  #held: (() => void)[] = [];
  #lastArrivalMs = { node: 0, replica: 0 };

  constructor(timeline: Timeline, random: Random) {
    this.#timeline = timeline;
    this.#random = random;
  }

  attach(node: End<ToNode>, replica: End<ToReplica>): void {
    this.#node = node;
    this.#replica = replica;
  }

  get isOpen(): { readonly node: boolean; readonly replica: boolean } {
    return { node: this.#node !== null, replica: this.#replica !== null };
  }

  toNode(message: ToNode): void {
    if (!this.#replica) return;
    this.#carry('node', () => {
      const node = this.#node;
      node?.clock.deliver(() => {
        if (this.#node === node) node.receive(message);
      });
    });
  }

  toReplica(message: ToReplica): void {
    if (!this.#node) return;
    this.#carry('replica', () => {
      const replica = this.#replica;
      replica?.clock.deliver(() => {
        if (this.#replica === replica) replica.receive(message);
      });
    });
  }

  /** This end hears nothing more; the other one is told, should the news get through. `afterMs`: the kernel takes its time. */
  closeNode(afterMs = 0): void {
    if (!this.#node) return;
    this.#node = null;
    this.#carry('replica', () => this.#replica?.clock.deliver(() => this.#replica?.receive({ type: 'close' })), afterMs);
  }

  closeReplica(afterMs = 0): void {
    if (!this.#replica) return;
    this.#replica = null;
    this.#carry('node', () => this.#node?.clock.deliver(() => this.#node?.receive({ type: 'close' })), afterMs);
  }

  silence(): void {
    this.#isSilent = true;
  }

  heal(): void {
    this.#isSilent = false;
    for (const arrive of this.#held.splice(0)) arrive();
  }

  #carry(to: 'node' | 'replica', arrive: () => void, afterMs = 0): void {
    const dueMs = this.#timeline.nowMs + afterMs + this.#random.between(0.1, 3);
    this.#lastArrivalMs[to] = Math.max(this.#lastArrivalMs[to], dueMs);
    this.#timeline.after(this.#lastArrivalMs[to] - this.#timeline.nowMs, () => {
      if (this.#isSilent) this.#held.push(arrive);
      else arrive();
    });
  }
}
