import type WebSocket from 'ws';
import { type Liveness, PING_BUSY_MS, PING_IDLE_MS, Pulse } from './liveness.ts';

/** Pings one socket and says what its node is. Single writer of the liveness of a session; see liveness.ts for the rules. */
export class Heartbeat {
  readonly #socket: WebSocket;
  readonly #isBusy: () => boolean;
  readonly #onChange: (liveness: Liveness) => void;
  readonly #pulse = new Pulse();
  #liveness: Liveness = 'alive';
  #timer: NodeJS.Timeout | undefined;
  #bufferedAtPing = 0;

  constructor(options: { socket: WebSocket; isBusy: () => boolean; onChange: (liveness: Liveness) => void }) {
    this.#socket = options.socket;
    this.#isBusy = options.isBusy;
    this.#onChange = options.onChange;
    this.#socket.on('pong', () => this.heard());
    this.#schedule(PING_IDLE_MS);
  }

  get liveness(): Liveness {
    return this.#liveness;
  }

  /** Any frame of the node is a sign of life: its pong may be behind a large answer. */
  heard(): void {
    this.#pulse.answered();
    this.#become('alive');
  }

  /** Work has begun on an idle node: do not wait for the next idle ping. */
  pingNow(): void {
    this.#schedule(0);
  }

  /** The socket is closed. Says nothing to anybody: the session does. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#liveness = 'dead';
  }

  #schedule(waitMs: number): void {
    clearTimeout(this.#timer);
    this.#pulse.expectIn(waitMs);
    this.#timer = setTimeout(() => this.#ping(), waitMs);
  }

  #ping(): void {
    const isBusy = this.#isBusy();
    const { bufferedAmount } = this.#socket;
    // A connection that still takes in a large body is alive; our ping waits behind it.
    if (bufferedAmount < this.#bufferedAtPing) this.#pulse.answered();
    this.#bufferedAtPing = bufferedAmount;
    this.#become(this.#pulse.beat(isBusy));
    if (this.#liveness === 'dead') return;
    this.#socket.ping();
    this.#schedule(isBusy ? PING_BUSY_MS : PING_IDLE_MS);
  }

  #become(liveness: Liveness): void {
    if (this.#liveness === liveness) return;
    this.#liveness = liveness;
    this.#onChange(liveness);
  }
}
