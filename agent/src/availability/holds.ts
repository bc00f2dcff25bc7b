import type { Hold } from '@lai/shared/node';

/**
 * The reasons why this node takes no work right now. A set, not a flag: gaming and a low battery may overlap, and each ends by
 * itself. One hold per kind; setting a kind again replaces its cause and end. Single writer of its set.
 */
export class Holds {
  readonly #holds = new Map<string, Hold>();
  readonly #onChange: () => void;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  list(): Hold[] {
    return [...this.#holds.values()];
  }

  get isHeld(): boolean {
    return this.#holds.size > 0;
  }

  set(hold: Hold): void {
    this.#holds.set(hold.kind, hold);
    this.#onChange();
  }

  clear(kind: string): void {
    if (this.#holds.delete(kind)) this.#onChange();
  }
}
