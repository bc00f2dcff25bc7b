/** Handshakes at the same time, and from one address. */
const MAX_STRANGERS = 64;
const MAX_PER_NETWORK = 8;
/** Who may wait for a turn, and from one address: when a fleet comes back at one moment nobody has to find his way by trying. */
const MAX_WAITING = 1_000;
const MAX_WAITING_PER_NETWORK = 64;

interface Waiting {
  readonly network: string | null;
  readonly letIn: () => void;
}

/** Sockets that have not proved who they are: few at a time, the others in turn. Single writer of its counts. */
export class Strangers {
  readonly #inside = new Map<string, number>();
  #total = 0;
  readonly #waiting = new Set<Waiting>();

  /**
   * Calls `letIn` at once or in turn. Returns what to call when the stranger is known or gone, as often as one likes; null when too many
   * wait already. `network` null: this machine, behind which any number of nodes may be (a reverse proxy).
   */
  admit(network: string | null, letIn: () => void): (() => void) | null {
    const stranger: Waiting = { network, letIn };
    if (this.#hasRoom(stranger)) {
      this.#enter(stranger);
    } else {
      const neighbours = network === null ? 0 : [...this.#waiting].filter((other) => other.network === network).length;
      if (this.#waiting.size >= MAX_WAITING || neighbours >= MAX_WAITING_PER_NETWORK) return null;
      this.#waiting.add(stranger);
    }
    let isGone = false;
    return () => {
      if (isGone) return;
      isGone = true;
      if (!this.#waiting.delete(stranger)) this.#leave(stranger);
    };
  }

  #hasRoom({ network }: Waiting): boolean {
    return this.#total < MAX_STRANGERS && (network === null || (this.#inside.get(network) ?? 0) < MAX_PER_NETWORK);
  }

  #enter(stranger: Waiting): void {
    const { network, letIn } = stranger;
    this.#total += 1;
    if (network !== null) this.#inside.set(network, (this.#inside.get(network) ?? 0) + 1);
    letIn();
  }

  #leave({ network }: Waiting): void {
    this.#total -= 1;
    if (network !== null) {
      const left = (this.#inside.get(network) ?? 1) - 1;
      if (left > 0) this.#inside.set(network, left);
      else this.#inside.delete(network);
    }
    for (const next of this.#waiting) {
      if (!this.#hasRoom(next)) continue;
      this.#waiting.delete(next);
      this.#enter(next);
      return;
    }
  }
}
