import { createWriteStream, mkdirSync, type WriteStream, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * What happened in one fault's run, in order of `atMs` (milliseconds since its start). Clients' words (`invoke`, then one `ok` or `fail`)
 * come from the requests themselves; everything else is `info` from whoever knew: the wire, the engines, the operating system.
 */
export type HistoryEvent = Invoke | Ok | Fail | Info;

export interface Invoke {
  readonly type: 'invoke';
  readonly atMs: number;
  readonly request: string;
  /** When the product must have ended it. */
  readonly deadlineMs: number;
}

export interface Ok {
  readonly type: 'ok';
  readonly atMs: number;
  readonly request: string;
  readonly firstContentMs: number | null;
  /** Who says to have answered: header, and the engines' signatures inside of the answer. */
  readonly node: string | null;
  readonly signatures: readonly string[];
  readonly finishReason: string | null;
  /** Pieces of content that came, and how many the answer's usage says there were; null when it does not say. */
  readonly pieces: number;
  readonly usageTokens: number | null;
}

export interface Fail {
  readonly type: 'fail';
  readonly atMs: number;
  readonly request: string;
  /** `http`: status and body; `event`: inside of a stream; `cut`: it just stopped; `connect`: nobody there; `left`: the client itself; `hang`: no end at all. */
  readonly how: 'http' | 'event' | 'cut' | 'connect' | 'left' | 'hang';
  readonly code: string | null;
  readonly errorEvents: number;
  readonly hasDone: boolean;
  readonly signatures: readonly string[];
  /** The coordinator that held this client was killed on purpose: it cannot have said anything. */
  readonly isExcused: boolean;
}

export type Info = { readonly type: 'info'; readonly atMs: number } & (
  | {
      readonly what: 'dispatch';
      readonly request: string;
      readonly attempt: string;
      readonly node: string;
      readonly link: string;
    }
  /** The connection is no more: nothing that comes over it later may count. */
  | { readonly what: 'cut'; readonly node: string; readonly link: string; readonly why: string }
  /** After everything has ended: what the coordinator, Redis and the engine count as taken. */
  | {
      readonly what: 'slots';
      readonly node: string;
      readonly leased: number;
      /** Attempts that the leases are for. */
      readonly attempts: readonly string[];
      readonly inUse: number;
      readonly maxInUse: number;
      readonly limit: number;
    }
  | { readonly what: 'quiet'; readonly running: number; readonly waiting: number }
  /** What the coordinator believes of a node, and what its engine says, so long after the last change. */
  | {
      readonly what: 'capacity';
      readonly node: string;
      readonly believed: readonly string[];
      readonly true: readonly string[];
      readonly settledMs: number;
      readonly limitMs: number;
    }
  | { readonly what: 'exit'; readonly program: string; readonly how: string; readonly isInjected: boolean }
  | { readonly what: 'outcry'; readonly program: string; readonly line: string }
  | { readonly what: 'gauge'; readonly name: string; readonly before: number; readonly after: number; readonly slack: number }
  | { readonly what: 'job.accepted'; readonly job: string }
  | { readonly what: 'job.ended'; readonly job: string; readonly state: string; readonly result: string }
  | { readonly what: 'ledger'; readonly request: string; readonly attempt: string; readonly tokens: number }
);

type Unstamped<T> = T extends unknown ? Omit<T, 'atMs'> : never;

/** Collects one fault's history and writes it down as it grows: one JSON object a line. Single writer of the file. */
export class History {
  readonly events: HistoryEvent[] = [];
  readonly file: string | null;
  readonly #startedAtMs = performance.now();
  readonly #out: WriteStream | null;

  constructor(file: string | null) {
    this.file = file;
    if (file !== null) mkdirSync(dirname(file), { recursive: true });
    this.#out = file === null ? null : createWriteStream(file);
  }

  /** `at` is a `performance.now()`, if it did not happen right now. */
  add(event: Unstamped<HistoryEvent>, at: number = performance.now()): void {
    const stamped = { ...event, atMs: this.sinceStart(at) } as HistoryEvent;
    this.events.push(stamped);
    this.#out?.write(`${JSON.stringify(stamped)}\n`);
  }

  /** What a program wrote, beside the history. */
  keepLog(program: string, text: string): void {
    if (this.file !== null) writeFileSync(`${this.file}.${program.replaceAll(' ', '-')}.log`, text);
  }

  sinceStart(at: number): number {
    return Math.round((at - this.#startedAtMs) * 10) / 10;
  }

  close(): Promise<void> {
    return new Promise((resolve) => (this.#out ? this.#out.end(resolve) : resolve()));
  }
}
