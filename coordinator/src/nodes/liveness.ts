/**
 * Is a node there? Pure. Cheap pings tell, not the fat status: a busy node is asked often, because somebody waits for it; an idle one
 * seldom. Suspect means no new work, and is taken back by one answer; dead means that its work fails over.
 *
 * Measured on loopback: with 500 ms a silent partition was found in 2.24 s (median) and 2.496 s (most); kill -9 closes the socket in 20–28 ms.
 */
export type Liveness = 'alive' | 'suspect' | 'dead';

/** Half a second, less what timers are late: who falls silent just after an answer misses four of five and is dead within 2.5 s. */
export const PING_BUSY_MS = 480;
export const PING_IDLE_MS = 5_000;

const LIMITS = { busy: { suspect: 2, dead: 4 }, idle: { suspect: 1, dead: 3 } } as const;

/** `unanswered`: pings sent since the last answer, before the one about to be sent. */
export const judgeLiveness = (unanswered: number, isBusy: boolean): Liveness => {
  const limits = isBusy ? LIMITS.busy : LIMITS.idle;
  if (unanswered >= limits.dead) return 'dead';
  return unanswered >= limits.suspect ? 'suspect' : 'alive';
};

/** A ping that goes out so much later than it should tells of us, not of the node: we were stopped, asleep, or busy with ourselves. */
export const AWAY_MS = 1_000;

/** `monotonicMs` may stand still while the machine sleeps, `wallMs` may be set: whichever has gone further is believed. */
export interface PulseClock {
  monotonicMs(): number;
  wallMs(): number;
}

const systemPulseClock: PulseClock = { monotonicMs: () => performance.now(), wallMs: () => Date.now() };

/**
 * The pings of one connection, counted. Answers that may have come while nobody was here to read them do not count as missing: the node
 * is suspect until the first ping after that is answered, and never dead for it. Single writer of its count.
 */
export class Pulse {
  readonly #clock: PulseClock;
  #unanswered = 0;
  #dueAt = { monotonicMs: 0, wallMs: 0 };

  constructor(clock: PulseClock = systemPulseClock) {
    this.#clock = clock;
    this.expectIn(0);
  }

  /** The next ping goes out after so long. */
  expectIn(waitMs: number): void {
    const { monotonicMs, wallMs } = this.#now();
    this.#dueAt = { monotonicMs: monotonicMs + waitMs, wallMs: wallMs + waitMs };
  }

  /** A ping is about to go out; what the node is until it answers. */
  beat(isBusy: boolean): Liveness {
    const { monotonicMs, wallMs } = this.#now();
    const lateMs = Math.max(monotonicMs - this.#dueAt.monotonicMs, wallMs - this.#dueAt.wallMs);
    if (lateMs >= AWAY_MS) {
      this.#unanswered = 1;
      return 'suspect';
    }
    const liveness = judgeLiveness(this.#unanswered, isBusy);
    this.#unanswered += 1;
    return liveness;
  }

  answered(): void {
    this.#unanswered = 0;
  }

  #now() {
    return { monotonicMs: this.#clock.monotonicMs(), wallMs: this.#clock.wallMs() };
  }
}
