import { isIPv6 } from 'node:net';

/** Wrong credentials from one address within a minute; the one after them is told to wait. Right ones are never refused by this. */
const MAX_FAILURES = 60;
const WINDOW_MS = 60_000;
/** Addresses that are remembered; the oldest is forgotten for a new one. */
const MAX_ADDRESSES = 10_000;

/** Counts failures by address. Single writer of its memory; each replica counts for itself. */
export class FailureLimits {
  readonly #windows = new Map<string, { count: number; endsAtMs: number }>();

  /** Counts a failure. How many seconds to wait, when there were too many; else null. */
  failed(address: string, nowMs: number): number | null {
    const network = networkOf(address);
    let window = this.#windows.get(network);
    if (!window || window.endsAtMs <= nowMs) {
      window = { count: 0, endsAtMs: nowMs + WINDOW_MS };
      this.#windows.delete(network);
      if (this.#windows.size >= MAX_ADDRESSES) this.#windows.delete(this.#windows.keys().next().value ?? '');
      this.#windows.set(network, window);
    }
    window.count += 1;
    return window.count > MAX_FAILURES ? Math.ceil((window.endsAtMs - nowMs) / 1_000) : null;
  }
}

/** Whoever has one IPv6 address has a /64 of them. */
export const networkOf = (address: string): string => {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  if (!isIPv6(plain)) return plain;
  const [head = '', tail] = plain.toLowerCase().split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  return `${[...left, ...Array<string>(zeros).fill('0'), ...right].slice(0, 4).join(':')}::/64`;
};
