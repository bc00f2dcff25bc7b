import { z } from 'zod';

const count = z.number().int().nonnegative();
const TotalsMessage = z.object({ type: z.literal('feed.totals'), running: count, waiting: count });

/** Told every second; who has been silent for longer has nothing. */
const SILENT_MS = 4_000;

interface Totals {
  readonly running: number;
  readonly waiting: number;
}

/** What runs and waits at all replicas: each tells the others at every beat. Single writer of what the others told. */
export class FleetTotals {
  readonly #own: () => Totals;
  readonly #others = new Map<string, Totals & { readonly heardAtMs: number }>();

  constructor(options: {
    own: () => Totals;
    replicas: { broadcast(message: unknown): void; onBeat(listener: () => void): void };
  }) {
    this.#own = options.own;
    options.replicas.onBeat(() => options.replicas.broadcast({ type: 'feed.totals', ...this.#own() }));
  }

  /** True when the message was for this. */
  hear(sender: string, message: unknown): boolean {
    const parsed = TotalsMessage.safeParse(message);
    if (!parsed.success) return false;
    const { running, waiting } = parsed.data;
    this.#others.set(sender, { running, waiting, heardAtMs: performance.now() });
    return true;
  }

  now(): Totals {
    const nowMs = performance.now();
    let { running, waiting } = this.#own();
    for (const [replicaId, others] of this.#others) {
      if (nowMs - others.heardAtMs > SILENT_MS) this.#others.delete(replicaId);
      else {
        running += others.running;
        waiting += others.waiting;
      }
    }
    return { running, waiting };
  }
}
