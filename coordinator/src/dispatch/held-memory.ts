import { CodedError } from '@lai/shared/errors';

/** What requests may hold of this process's memory. A 2-GB machine has no more to spare, and the unit gives V8 512 MiB of it. */
export const HELD_LIMITS = {
  bytes: 256 * 1024 * 1024,
  /** Of one API key, or of one address before it has shown a key. */
  bytesOfOwner: 128 * 1024 * 1024,
  /** What a request costs beside its body: sockets, promises, its ticket, and its queue when nobody else waits for the same. */
  bytesOfRequest: 40 * 1024,
} as const;
export type HeldLimits = { readonly [limit in keyof typeof HELD_LIMITS]: number };

const RETRY_AFTER_SECONDS = 5;

/**
 * Bytes that requests hold, from the first byte of a body that is read to the end of its answer, by owner and in all. A request that
 * would exceed a limit is refused while the process is in no danger. Single writer of its counts.
 */
export class HeldMemory {
  readonly #limits: HeldLimits;
  readonly #ofOwner = new Map<string, number>();
  #bytes = 0;

  constructor(limits: HeldLimits = HELD_LIMITS) {
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get owners(): number {
    return this.#ofOwner.size;
  }

  /** Nothing is held before the first `grow`. */
  hold(owner: string): Holding {
    return new Holding(owner, this.#limits.bytesOfRequest, (who, change) => this.#change(who, change));
  }

  /** Throws CodedError when an owner or all of them would hold more than they may; then nothing has changed. */
  #change(owner: string, change: number): void {
    const ofOwner = (this.#ofOwner.get(owner) ?? 0) + change;
    if (change > 0 && ofOwner > this.#limits.bytesOfOwner)
      throw new CodedError('rate_limit_exceeded', {
        message: `The requests of this key hold ${mib(this.#limits.bytesOfOwner)} MiB already, as much as one key's may. Retry after the time in Retry-After, with fewer or smaller requests at once.`,
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    if (change > 0 && this.#bytes + change > this.#limits.bytes)
      throw new CodedError('queue_full', {
        message: `All requests together hold ${mib(this.#limits.bytes)} MiB already, as much as this coordinator gives them. Retry after the time in Retry-After.`,
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    this.#bytes += change;
    if (ofOwner > 0) this.#ofOwner.set(owner, ofOwner);
    else this.#ofOwner.delete(owner);
  }
}

/** What one request holds. */
export class Holding {
  readonly #change: (owner: string, change: number) => void;
  readonly #bytesOfRequest: number;
  #owner: string;
  #bytes = 0;
  #isReleased = false;

  constructor(owner: string, bytesOfRequest: number, change: (owner: string, change: number) => void) {
    this.#owner = owner;
    this.#bytesOfRequest = bytesOfRequest;
    this.#change = change;
  }

  /** Throws CodedError when that is too much. A negative number gives some back. */
  grow(bytes: number): void {
    if (this.#isReleased) return;
    const change = this.#bytes === 0 ? this.#bytesOfRequest + bytes : bytes;
    this.#change(this.#owner, change);
    this.#bytes += change;
  }

  /** Who is asking is known now. */
  belongTo(owner: string): void {
    if (this.#isReleased || owner === this.#owner) return;
    const bytes = this.#bytes;
    this.#change(this.#owner, -bytes);
    this.#bytes = 0;
    this.#owner = owner;
    this.#change(owner, bytes);
    this.#bytes = bytes;
  }

  /** Once, however often it is called. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#change(this.#owner, -this.#bytes);
  }
}

const mib = (bytes: number): number => Math.round(bytes / 1024 / 1024);

const HOLDINGS = new WeakMap<object, Holding>();

/** What reads this request's body counts it there. */
export const countBodyIn = (request: object, holding: Holding): void => void HOLDINGS.set(request, holding);
export const holdingOf = (request: object): Holding | undefined => HOLDINGS.get(request);
