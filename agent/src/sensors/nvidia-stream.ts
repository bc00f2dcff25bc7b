import { setTimeout as sleep } from 'node:timers/promises';
import { backoffMs } from '@lai/shared/backoff';
import { execa } from 'execa';
import type { ProbeTiming } from './gpu-probe.ts';
import { cutLines } from './line-cutter.ts';
import { nvidiaArguments, parseNvidiaLine } from './nvidia-csv.ts';
import { type NvidiaNews, NvidiaRounds } from './nvidia-rounds.ts';

export type NvidiaStreamOptions = {
  /** PATH of the program, driver folders first. */
  searchPath: string;
  timing: ProbeTiming;
  random: () => number;
  onNews: (news: NvidiaNews) => void;
};

/** The first thing detection learns. `absent`: there is no such program; `trouble`: it is there and sees no GPU. */
export type FirstSight = 'reading' | 'absent' | 'trouble';

type Run = { readings: number; isMissing: boolean; complaint: string | null };

/**
 * After a loop that printed nothing we take this many single samples before we try a loop again: should some nvidia-smi keep its
 * rounds in a buffer when it writes to a pipe, or not know `--loop-ms`, values still come, at the price of a process each.
 */
const SINGLES_AFTER_SILENCE = 30;
/** A run this long proves the program works: the next failure counts as the first again. */
const STABLE_RUN_MS = 30_000;
const FORCE_KILL_AFTER_MS = 1_000;
const CLOSE_WITHIN_MS = 3_000;

/**
 * One `nvidia-smi … --loop-ms` kept open, and replaced when it dies or falls silent.
 *
 *   waiting ──delay over──▶ running ──line──▶ running
 *      ▲                       │
 *      └── exit, silence, no such program; a loop without a reading is followed by single samples
 *   any ──close──▶ closed
 *
 * There is never a second process before the first is gone: a driver that hangs its callers keeps one of them, not hundreds.
 */
export class NvidiaStream {
  readonly #options: NvidiaStreamOptions;
  readonly #closing = new AbortController();
  readonly #loop: Promise<void>;
  readonly #firstSight = Promise.withResolvers<FirstSight>();
  readonly #rounds = new NvidiaRounds();
  /** Why the program gives no rows at all; null while it does. */
  #outage: string | null = 'nvidia-smi has given no reading yet.';

  constructor(options: NvidiaStreamOptions) {
    this.#options = options;
    this.#loop = this.#keepRunning();
  }

  get firstSight(): Promise<FirstSight> {
    return this.#firstSight.promise;
  }

  get trouble(): string | null {
    return this.#outage ?? this.#rounds.trouble;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.race([this.#loop, sleep(CLOSE_WITHIN_MS, undefined, { ref: false })]);
  }

  async #keepRunning(): Promise<void> {
    const { signal } = this.#closing;
    const { restartBaseMs: baseMs, restartCapMs: capMs } = this.#options.timing;
    let failures = 0;
    let singles = 0;
    while (!signal.aborted) {
      const startedMs = performance.now();
      const isLoop = singles === 0;
      const run = await this.#runOnce(isLoop ? this.#options.timing.sampleEveryMs : null);
      if (signal.aborted) break;
      if (run.readings > 0) singles = Math.max(singles - 1, 0);
      else singles = isLoop ? SINGLES_AFTER_SILENCE : 0;
      let waitMs = this.#options.timing.sampleEveryMs;
      if (isLoop || run.readings === 0) {
        failures = run.readings > 0 && performance.now() - startedMs > STABLE_RUN_MS ? 1 : failures + 1;
        waitMs = backoffMs(failures - 1, this.#options.random(), { baseMs, capMs });
        this.#outage = run.complaint ?? 'nvidia-smi ended; it is being started again.';
        this.#firstSight.resolve(run.isMissing ? 'absent' : 'trouble');
      }
      await sleep(waitMs, undefined, { signal, ref: false }).catch(() => {});
    }
    this.#firstSight.resolve('trouble');
  }

  async #runOnce(loopMs: number | null): Promise<Run> {
    const { searchPath, timing, onNews } = this.#options;
    const run: Run = { readings: 0, isMissing: false, complaint: null };
    this.#rounds.beginRound();
    const silence = new AbortController();
    const silenceTimer = setTimeout(() => silence.abort(), timing.silenceMs).unref();
    const program = execa('nvidia-smi', nvidiaArguments(loopMs), {
      reject: false,
      buffer: false,
      stdin: 'ignore',
      env: { PATH: searchPath },
      cancelSignal: AbortSignal.any([silence.signal, this.#closing.signal]),
      forceKillAfterDelay: FORCE_KILL_AFTER_MS,
    });
    let rest = '';
    program.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      const cut = cutLines(rest, chunk);
      rest = cut.rest;
      for (const text of cut.lines) {
        const line = parseNvidiaLine(text);
        if (line.kind === 'complaint') run.complaint ??= line.sentence;
        for (const news of this.#rounds.take(line)) onNews(news);
        if (line.kind !== 'reading') continue;
        run.readings += 1;
        this.#outage = null;
        silenceTimer.refresh();
        this.#firstSight.resolve('reading');
      }
    });
    // Warnings on standard error come with good readings too (infoROM, persistence); they decide nothing.
    program.stderr.resume();
    const result = await program;
    clearTimeout(silenceTimer);
    // A program that was stopped in the middle of a round has not told of every card.
    if (loopMs === null && result.exitCode === 0) for (const news of this.#rounds.endRound()) onNews(news);
    run.isMissing = result.code === 'ENOENT' || result.code === 'EACCES';
    if (run.isMissing) run.complaint = 'nvidia-smi is not installed.';
    else if (silence.signal.aborted) run.complaint ??= `nvidia-smi gave no reading for ${timing.silenceMs} ms and was stopped.`;
    return run;
  }
}
