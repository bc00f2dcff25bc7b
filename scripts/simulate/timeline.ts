import type { Clock } from '../../coordinator/src/dispatch/clock.ts';

interface Entry {
  readonly atMs: number;
  readonly order: number;
  call: (() => void) | null;
}

/** The simulation begins here; any date will do, this one is not 0 so that nobody confuses it with "never". */
const START_MS = 1_800_000_000_000;
/** So often real time gets a turn: rejections that nobody handled are reported then. */
const TURN_EVERY = 500;

/**
 * Virtual time: a heap of calls. Between two calls every promise that can go on does, as between two callbacks of a real event loop.
 * Calls of one moment run in the order in which they were asked for.
 */
export class Timeline {
  nowMs = START_MS;
  readonly startMs = START_MS;
  calls = 0;
  readonly #heap: Entry[] = [];
  #order = 0;

  after(ms: number, call: () => void): () => void {
    const entry: Entry = { atMs: this.nowMs + Math.max(0, ms), order: this.#order, call };
    this.#order += 1;
    this.#push(entry);
    return () => {
      entry.call = null;
    };
  }

  /** Runs what is due until then, or until `isOver`. */
  run(untilMs: number, isOver: () => boolean = () => false): Promise<void> {
    return new Promise((resolve, reject) => {
      const step = () => {
        try {
          if (isOver() || !this.#next(untilMs)) {
            resolve();
            return;
          }
        } catch (error) {
          reject(error);
          return;
        }
        // A tick that a microtask asks for runs when the queue of microtasks is empty, however many come still.
        if (this.calls % TURN_EVERY === 0) setImmediate(step);
        else queueMicrotask(() => process.nextTick(step));
      };
      setImmediate(step);
    });
  }

  #next(untilMs: number): boolean {
    for (;;) {
      const first = this.#heap[0];
      if (!first || first.atMs > untilMs) {
        this.nowMs = Math.max(this.nowMs, untilMs);
        return false;
      }
      this.#pop();
      const { call } = first;
      if (!call) continue;
      this.nowMs = first.atMs;
      this.calls += 1;
      first.call = null;
      call();
      return true;
    }
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above];
      if (!parent || isBefore(parent, entry)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (!last || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const [left, right] = [heap[2 * at + 1], heap[2 * at + 2]];
      if (!left) break;
      const [child, below] = right && isBefore(right, left) ? [right, 2 * at + 2] : [left, 2 * at + 1];
      if (isBefore(last, child)) break;
      heap[at] = child;
      at = below;
    }
    heap[at] = last;
  }
}

const isBefore = (a: Entry, b: Entry): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

const WALL_AHEAD_MS = 3_600_000;

/**
 * A process's share of time. What happens to it goes through `deliver` or its own timers, so that it can be frozen (SIGSTOP, sleep:
 * everything waits and then happens at once) or killed (nothing happens any more).
 */
export class ProcessClock implements Clock {
  readonly #timeline: Timeline;
  #state: 'running' | 'frozen' | 'dead' = 'running';
  #late: (() => void)[] = [];
  #frozenAtMs = 0;
  /** Milliseconds that it has been frozen for, all together. */
  frozenMs = 0;

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
  }

  get isDead(): boolean {
    return this.#state === 'dead';
  }

  get isFrozen(): boolean {
    return this.#state === 'frozen';
  }

  /** Whole, as Date.now() is. */
  nowMs(): number {
    return Math.floor(this.#timeline.nowMs);
  }

  /** An hour ahead, so that whoever mixes the two up is found out at once. */
  wallMs(): number {
    return this.nowMs() + WALL_AHEAD_MS;
  }

  after(ms: number, call: () => void): () => void {
    let isOff = false;
    const cancel = this.#timeline.after(ms, () =>
      this.deliver(() => {
        if (!isOff) call();
      }),
    );
    return () => {
      isOff = true;
      cancel();
    };
  }

  /** Now, or when it runs again. */
  deliver(call: () => void): void {
    if (this.#state === 'running') call();
    else if (this.#state === 'frozen') this.#late.push(call);
  }

  freeze(): void {
    if (this.#state !== 'running') return;
    this.#state = 'frozen';
    this.#frozenAtMs = this.#timeline.nowMs;
  }

  thaw(): void {
    if (this.#state !== 'frozen') return;
    this.#state = 'running';
    this.frozenMs += this.#timeline.nowMs - this.#frozenAtMs;
    for (const call of this.#late.splice(0)) this.#timeline.after(0, () => this.deliver(call));
  }

  kill(): void {
    this.#state = 'dead';
    this.#late = [];
  }
}
