import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { CLEAR, hurt, type Impairment, isClear, segmentsOf, sendingMs, travelMs } from './impairment.ts';
import { type Random, randomFrom } from './random.ts';

/** `up`: from whoever connected to whom it wanted; `down`: back. */
export type Direction = 'up' | 'down';
const DIRECTIONS = ['up', 'down'] as const;

export type Destination = { readonly host: string; readonly port: number } | { readonly path: string };

/** Sees what passes, in order and before it is hurt. Times are `performance.now()`. */
export interface Tap {
  opened?(link: Link): void;
  bytes?(link: Link, direction: Direction, bytes: Buffer, atMs: number): void;
  /** The end that `direction` comes from has closed, or broke off. */
  closed?(link: Link, direction: Direction, atMs: number): void;
}

/** More than this under way in one direction and the sender has to wait. */
const MOST_QUEUED_BYTES = 1024 * 1024;

/** One direction of one connection: source → segments with a time of arrival → destination. Single writer of its queue. */
class Lane {
  readonly #source: Socket;
  readonly #destination: Socket;
  readonly #random: Random;
  readonly #see: (bytes: Buffer) => void;
  #impairment: Impairment;
  #queue: { readonly bytes: Buffer; readonly dueMs: number }[] = [];
  #queuedBytes = 0;
  #lineFreeMs = 0;
  #hasEnded = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: {
    source: Socket;
    destination: Socket;
    impairment: Impairment;
    random: Random;
    see: (bytes: Buffer) => void;
    sawEnd: () => void;
  }) {
    this.#source = options.source;
    this.#destination = options.destination;
    this.#impairment = options.impairment;
    this.#random = options.random;
    this.#see = options.see;
    this.#source.on('data', (bytes: Buffer) => this.#take(bytes));
    this.#source.on('end', () => {
      options.sawEnd();
      this.#hasEnded = true;
      this.#pass();
    });
    this.#destination.on('drain', () => this.#pass());
    this.#flow();
  }

  set(impairment: Impairment): void {
    this.#impairment = impairment;
    this.#pass();
    this.#flow();
  }

  /** Says goodbye in this direction after what is under way. */
  end(): void {
    this.#hasEnded = true;
    this.#pass();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#queue = [];
  }

  #take(bytes: Buffer): void {
    this.#see(bytes);
    const isDirect = this.#queue.length === 0 && isClear(this.#impairment);
    if (isDirect) {
      if (!this.#destination.write(bytes)) this.#source.pause();
      return;
    }
    for (const segment of segmentsOf(bytes, this.#impairment)) {
      this.#lineFreeMs = Math.max(this.#lineFreeMs, performance.now()) + sendingMs(segment, this.#impairment);
      const dueMs = this.#lineFreeMs + travelMs(this.#impairment, this.#random);
      // TCP delivers in order: what overtakes waits.
      this.#queue.push({
        bytes: hurt(segment, this.#impairment, this.#random),
        dueMs: Math.max(this.#queue.at(-1)?.dueMs ?? 0, dueMs),
      });
      this.#queuedBytes += segment.length;
    }
    this.#pass();
    this.#flow();
  }

  #pass(): void {
    clearTimeout(this.#timer);
    if (this.#impairment.isBlackHole || this.#destination.destroyed) return;
    const nowMs = performance.now();
    while (this.#queue[0] && this.#queue[0].dueMs <= nowMs) {
      const { bytes } = this.#queue[0];
      this.#queue.shift();
      this.#queuedBytes -= bytes.length;
      this.#destination.write(bytes);
    }
    const next = this.#queue[0];
    if (next) this.#timer = setTimeout(() => this.#pass(), Math.max(0, next.dueMs - nowMs));
    else if (this.#hasEnded) this.#destination.end();
    this.#flow();
  }

  #flow(): void {
    if (this.#impairment.isBlackHole || this.#queuedBytes > MOST_QUEUED_BYTES || this.#destination.writableNeedDrain)
      this.#source.pause();
    else this.#source.resume();
  }
}

/** One connection through the proxy. */
export class Link {
  readonly id: number;
  readonly openedAtMs = performance.now();
  readonly #near: Socket;
  readonly #far: Socket;
  readonly #lanes: Record<Direction, Lane>;
  readonly #impairments: Record<Direction, Impairment>;
  isOpen = true;

  constructor(options: {
    id: number;
    near: Socket;
    destination: Destination;
    impairments: Record<Direction, Impairment>;
    random: Random;
    tap: Tap;
    closed: () => void;
  }) {
    this.id = options.id;
    this.#near = options.near;
    this.#impairments = { ...options.impairments };
    this.#far = createConnection({ ...options.destination, allowHalfOpen: true, noDelay: true });
    const { tap, random } = options;
    const lane = (direction: Direction): Lane =>
      new Lane({
        source: direction === 'up' ? this.#near : this.#far,
        destination: direction === 'up' ? this.#far : this.#near,
        impairment: this.#impairments[direction],
        random,
        see: (bytes) => tap.bytes?.(this, direction, bytes, performance.now()),
        sawEnd: () => tap.closed?.(this, direction, performance.now()),
      });
    this.#lanes = { up: lane('up'), down: lane('down') };
    this.#near.on('error', () => tap.closed?.(this, 'up', performance.now()));
    this.#far.on('error', () => tap.closed?.(this, 'down', performance.now()));
    this.#near.on('close', (hadError) => this.#gone(this.#far, hadError));
    this.#far.on('close', (hadError) => {
      this.#gone(this.#near, hadError);
      options.closed();
    });
  }

  set(direction: Direction | 'both', change: Partial<Impairment>): void {
    for (const one of direction === 'both' ? DIRECTIONS : [direction]) {
      this.#impairments[one] = { ...this.#impairments[one], ...change };
      this.#lanes[one].set(this.#impairments[one]);
    }
  }

  /** RST to both ends. */
  reset(): void {
    breakOff(this.#near);
    breakOff(this.#far);
  }

  /** FIN in one direction; the other one goes on. */
  halfClose(direction: Direction): void {
    this.#lanes[direction].end();
  }

  /** One end is gone entirely; so is the other, unless the way there is a black hole: then it will not hear of it before that is lifted. */
  #gone(other: Socket, hadError: boolean): void {
    this.isOpen = !this.#near.destroyed && !this.#far.destroyed;
    if (other.destroyed) {
      for (const direction of DIRECTIONS) this.#lanes[direction].close();
      return;
    }
    if (hadError && !DIRECTIONS.some((direction) => this.#impairments[direction].isBlackHole)) breakOff(other);
    else this.#lanes[other === this.#far ? 'up' : 'down'].end();
  }
}

/** RST, where there is such a thing: a unix socket only closes, and so does one that was never connected. */
const breakOff = (socket: Socket): void => {
  if (socket.remoteAddress === undefined) socket.destroy();
  else socket.resetAndDestroy();
};

/** A TCP proxy that misbehaves as told: for all connections that will come, for all that stand, or for one. */
export class ChaosProxy {
  readonly links = new Set<Link>();
  readonly #server: Server;
  readonly #impairments: Record<Direction, Impairment> = { up: CLEAR, down: CLEAR };
  #isRefusing = false;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(options: { to: Destination; seed?: number; tap?: Tap }): Promise<ChaosProxy> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    const proxy = new ChaosProxy(server);
    const random = randomFrom(options.seed ?? 1);
    let count = 0;
    server.on('connection', (near) => {
      if (proxy.#isRefusing) {
        near.resetAndDestroy();
        return;
      }
      count += 1;
      const link: Link = new Link({
        id: count,
        near,
        destination: options.to,
        impairments: proxy.#impairments,
        random,
        tap: options.tap ?? {},
        closed: () => proxy.links.delete(link),
      });
      proxy.links.add(link);
      options.tap?.opened?.(link);
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy is closed');
    return address.port;
  }

  /** For the connections that stand and those to come. */
  set(direction: Direction | 'both', change: Partial<Impairment>): void {
    for (const one of direction === 'both' ? DIRECTIONS : [direction])
      this.#impairments[one] = { ...this.#impairments[one], ...change };
    for (const link of this.links) link.set(direction, change);
  }

  /** Like a port at which nobody listens; what stands is not touched. */
  refuse(isRefusing: boolean): void {
    this.#isRefusing = isRefusing;
  }

  resetAll(): void {
    for (const link of this.links) link.reset();
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.resetAll();
    await closed;
  }
}
