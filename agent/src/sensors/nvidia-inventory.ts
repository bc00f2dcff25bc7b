import { setTimeout as sleep } from 'node:timers/promises';
import { callNvidiaSmi, type NvidiaSmiCall } from './nvidia-smi-call.ts';
import { type NvidiaTree, parseNvidiaTree } from './nvidia-xml.ts';
import { remembered } from './remembered.ts';

const CLOSE_WITHIN_MS = 3_000;

/**
 * The slow path: inventory and process list. While a killed process refuses to go (a hung driver), no further one is started.
 */
export class NvidiaInventory {
  readonly #searchPath: string;
  readonly #deadlineMs: number;
  #call: NvidiaSmiCall | null = null;
  #isClosed = false;
  /** Never rejects. */
  readonly read: (maxAgeMs?: number) => Promise<NvidiaTree>;

  constructor(options: { searchPath: string; deadlineMs: number; cacheMs: number; nowMs?: () => number }) {
    this.#searchPath = options.searchPath;
    this.#deadlineMs = options.deadlineMs;
    this.read = remembered({
      ask: () => this.#ask(),
      isGood: (tree) => tree.kind === 'inventory',
      keepMs: options.cacheMs,
      ...(options.nowMs === undefined ? {} : { nowMs: options.nowMs }),
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#call?.kill();
    await Promise.race([this.#call?.gone, sleep(CLOSE_WITHIN_MS, undefined, { ref: false })]);
  }

  async #ask(): Promise<NvidiaTree> {
    // Loaded with the first question: most machines have no such card, and the package brings an XML parser.
    const { default: askPackage } = await import('node-nvidia-smi');
    if (this.#isClosed) return { kind: 'unreadable', reason: 'the probe is closed' };
    if (this.#call !== null) return { kind: 'unreadable', reason: 'an earlier nvidia-smi still hangs' };
    const call = callNvidiaSmi(this.#searchPath, askPackage);
    this.#call = call;
    void call.gone.then(() => {
      this.#call = null;
    });
    const deadline = sleep(this.#deadlineMs, TOO_LATE, { ref: false });
    const answer = await Promise.race([call.tree.then(parseNvidiaTree, unreadable), deadline]);
    if (answer !== TOO_LATE) return answer;
    call.kill();
    return { kind: 'unreadable', reason: `nvidia-smi -q -x gave no answer within ${this.#deadlineMs} ms` };
  }
}

const TOO_LATE = Symbol('too late');
const unreadable = (error: unknown): NvidiaTree => ({ kind: 'unreadable', reason: String(error) });
