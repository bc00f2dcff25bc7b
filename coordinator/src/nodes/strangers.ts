/** Sockets that have not proved who they are: few at a time, and few from one address. Single writer of its counts. */
const MAX_STRANGERS = 64;
const MAX_PER_NETWORK = 8;

export class Strangers {
  readonly #byNetwork = new Map<string, number>();
  #total = 0;

  /**
   * Null when there are too many; else what to call when the stranger is known or gone. `network` null: this machine, behind which any
   * number of nodes may be (a reverse proxy).
   */
  admit(network: string | null): (() => void) | null {
    const before = network === null ? 0 : (this.#byNetwork.get(network) ?? 0);
    if (this.#total >= MAX_STRANGERS || before >= MAX_PER_NETWORK) return null;
    this.#total += 1;
    if (network !== null) this.#byNetwork.set(network, before + 1);
    let isGone = false;
    return () => {
      if (isGone) return;
      isGone = true;
      this.#total -= 1;
      if (network === null) return;
      const left = (this.#byNetwork.get(network) ?? 1) - 1;
      if (left > 0) this.#byNetwork.set(network, left);
      else this.#byNetwork.delete(network);
    };
  }
}
