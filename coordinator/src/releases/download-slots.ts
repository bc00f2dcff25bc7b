import { networkOf } from '../access/failure-limits.ts';

/** Each holds a file open and some buffers. Machines of a household are often behind one address. */
const MAX_DOWNLOADS = 32;
const MAX_PER_NETWORK = 8;

/** Downloads that run, by network. Open to everybody, so they are counted. Single writer of its memory. */
export class DownloadSlots {
  readonly #running = new Map<string, number>();
  #total = 0;

  /** What gives the slot back, once; null when there is none. */
  take(address: string): (() => void) | null {
    const network = networkOf(address);
    const count = this.#running.get(network) ?? 0;
    if (this.#total >= MAX_DOWNLOADS || count >= MAX_PER_NETWORK) return null;
    this.#running.set(network, count + 1);
    this.#total += 1;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#total -= 1;
      const left = (this.#running.get(network) ?? 1) - 1;
      if (left === 0) this.#running.delete(network);
      else this.#running.set(network, left);
    };
  }
}
