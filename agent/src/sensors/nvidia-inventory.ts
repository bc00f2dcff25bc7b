import { setTimeout as sleep } from 'node:timers/promises';
import { callNvidiaSmi, type NvidiaSmiCall } from './nvidia-smi-call.ts';
import { type NvidiaTree, parseNvidiaTree } from './nvidia-xml.ts';

export type NvidiaInventoryOptions = { searchPath: string; deadlineMs: number; cacheMs: number; nowMs?: () => number };

const CLOSE_WITHIN_MS = 3_000;

/**
 * The slow path: inventory and process list. One call at a time, one answer for `cacheMs`; failures are remembered no longer than
 * the call itself. While a killed process refuses to go (a hung driver), no further one is started.
 */
export class NvidiaInventory {
  readonly #options: NvidiaInventoryOptions;
  readonly #nowMs: () => number;
  #inFlight: Promise<NvidiaTree> | null = null;
  #call: NvidiaSmiCall | null = null;
  #last: { tree: NvidiaTree; atMs: number } | null = null;
  #isClosed = false;

  constructor(options: NvidiaInventoryOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  /** Never rejects. */
  read(): Promise<NvidiaTree> {
    if (this.#last !== null && this.#nowMs() - this.#last.atMs < this.#options.cacheMs) return Promise.resolve(this.#last.tree);
    if (this.#isClosed) return Promise.resolve({ kind: 'unreadable', reason: 'the probe is closed' });
    this.#inFlight ??= this.#ask().finally(() => {
      this.#inFlight = null;
    });
    return this.#inFlight;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#call?.kill();
    await Promise.race([this.#call?.gone, sleep(CLOSE_WITHIN_MS, undefined, { ref: false })]);
  }

  async #ask(): Promise<NvidiaTree> {
    if (this.#call !== null) return { kind: 'unreadable', reason: 'an earlier nvidia-smi still hangs' };
    const call = callNvidiaSmi(this.#options.searchPath);
    this.#call = call;
    void call.gone.then(() => {
      this.#call = null;
    });
    const deadline = sleep(this.#options.deadlineMs, TOO_LATE, { ref: false });
    const answer = await Promise.race([call.tree.then(parseNvidiaTree, unreadable), deadline]);
    if (answer === TOO_LATE) {
      call.kill();
      return { kind: 'unreadable', reason: `nvidia-smi -q -x gave no answer within ${this.#options.deadlineMs} ms` };
    }
    if (answer.kind === 'inventory') this.#last = { tree: answer, atMs: this.#nowMs() };
    return answer;
  }
}

const TOO_LATE = Symbol('too late');
const unreadable = (error: unknown): NvidiaTree => ({ kind: 'unreadable', reason: String(error) });
