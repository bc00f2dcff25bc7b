import type { Clock } from './clock.ts';

const REMEMBER_MS = 30 * 60_000;
const MOST = 20_000;

/**
 * Which node answered a conversation last, so that the next turn finds its prompt's beginning in the engine's cache. Per replica: a
 * wrong or missing memory costs a prefill, never an answer. Single writer of it.
 */
export class Affinity {
  readonly #clock: Clock;
  /** In the order of use; the first is the oldest. */
  readonly #nodes = new Map<string, { readonly nodeId: string; readonly atMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The node that answered under the first of these keys that is remembered; session before prefix. */
  nodeFor(keys: readonly string[]): string | null {
    for (const key of keys) {
      const known = this.#nodes.get(key);
      if (known && this.#clock.nowMs() - known.atMs < REMEMBER_MS) return known.nodeId;
    }
    return null;
  }

  remember(keys: readonly string[], nodeId: string): void {
    for (const key of keys) {
      this.#nodes.delete(key);
      this.#nodes.set(key, { nodeId, atMs: this.#clock.nowMs() });
    }
    for (const key of this.#nodes.keys()) {
      if (this.#nodes.size <= MOST) break;
      this.#nodes.delete(key);
    }
  }
}
