import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GamingReport, GamingWish } from '@lai/shared/node';
import type { Logger } from 'pino';
import { z } from 'zod';
import { type Clocks, clockSetBy, readClocks } from './clock-set.ts';
import { type Detection, detectionDueMs, type GameSign, gameOf, nextDetection, noGame, strongestSign } from './game-detection.ts';
import { type DatedWish, datedWish, decideGaming, isSameWish, movedWish } from './gaming.ts';
import type { GamingPolicy } from './policy.ts';

const Dated = z.object({
  mode: z.enum(['on', 'off', 'auto']),
  untilMs: z.number().nullable(),
  atMs: z.number(),
  toldUntilMs: z.number().nullable().optional(),
});
/** Wishes outlive a restart of the agent: who said "off for two hours" does not care about our updates. */
const Kept = z.object({ owner: Dated.nullable(), operator: Dated.nullable() });

/** Quiet hours begin and wishes end without anybody telling us. */
const REVIEW_MS = 15_000;

/**
 * Gaming mode of this machine: takes wishes and sightings, decides with gaming.ts, tells when it becomes active and when it ends. Single
 * writer of the wishes, of the detection's state and of its file.
 */
export class GamingMode {
  readonly #path: string;
  readonly #policy: () => GamingPolicy;
  readonly #onChange: (report: GamingReport, before: GamingReport) => void;
  readonly #log: Logger;
  readonly #readClocks: () => Clocks;
  #clocks: Clocks;
  #owner: DatedWish | null = null;
  #operator: DatedWish | null = null;
  #detection: Detection = noGame;
  #signs: readonly GameSign[] = [];
  #ownPids: ReadonlySet<number> = new Set();
  #report: GamingReport;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: {
    dataDir: string;
    policy: () => GamingPolicy;
    onChange: (report: GamingReport, before: GamingReport) => void;
    log: Logger;
    readClocks?: () => Clocks;
  }) {
    this.#readClocks = options.readClocks ?? readClocks;
    this.#clocks = this.#readClocks();
    this.#path = join(options.dataDir, 'gaming.json');
    this.#policy = options.policy;
    this.#onChange = options.onChange;
    this.#log = options.log;
    this.#recall();
    this.#report = { ...this.#decide(), isActive: false, cause: null };
  }

  get report(): GamingReport {
    return this.#report;
  }

  start(): void {
    this.review();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  /** Typed at the machine. */
  ownerWishes({ mode, untilMs }: GamingWish): void {
    this.#owner = { mode, untilMs, atMs: this.#nowMs() };
    this.#keep();
    this.review();
  }

  /** What the coordinator last said; the same words again are no new wish, silence takes the last one back. */
  operatorWishes(wish: GamingWish | undefined): void {
    const told = wish ? datedWish(wish, this.#nowMs()) : null;
    if (isSameWish(this.#operator, wish)) {
      // What is left of it is true now, whatever our clock has been through since it was first told.
      if (this.#operator && told) this.#operator = { ...told, atMs: this.#operator.atMs };
    } else {
      this.#operator = told;
    }
    this.#keep();
    this.review();
  }

  /** What the sensor sees now; `ownPids` are the processes of our engines. */
  sees(signs: readonly GameSign[], ownPids: ReadonlySet<number>): void {
    this.#signs = signs;
    this.#ownPids = ownPids;
    this.review();
  }

  /** Decides anew, and says so when the decision is another one. */
  review(): void {
    if (this.#isClosed) return;
    const policy = this.#policy();
    this.#followClock();
    const nowMs = performance.now();
    const sign = policy.detect ? strongestSign(this.#signs, { notGames: policy.notGames, ownPids: this.#ownPids }) : null;
    this.#detection = nextDetection(this.#detection, sign, { nowMs, ...policy });
    const before = this.#report;
    const report = this.#decide();
    this.#report = report;
    if (JSON.stringify(report) !== JSON.stringify(before)) {
      if (report.isActive !== before.isActive)
        this.#log.info({ gaming: report }, `gaming mode ${report.isActive ? 'begins' : 'ends'}`);
      this.#onChange(report, before);
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.review(), this.#reviewAfterMs(policy)).unref();
  }

  #nowMs(): number {
    this.#followClock();
    return this.#clocks.wallMs;
  }

  /** Wishes last as long as was asked, also when the clock is set meanwhile. */
  #followClock(): void {
    const now = this.#readClocks();
    const byMs = clockSetBy(this.#clocks, now);
    this.#clocks = now;
    if (byMs === 0) return;
    this.#owner = movedWish(this.#owner, byMs);
    this.#operator = movedWish(this.#operator, byMs);
    this.#keep();
  }

  #decide(): GamingReport {
    const now = new Date(this.#clocks.wallMs);
    return decideGaming({
      owner: this.#owner,
      operator: this.#operator,
      game: gameOf(this.#detection),
      policy: this.#policy(),
      nowMs: now.getTime(),
      local: { weekday: now.getDay(), minute: now.getHours() * 60 + now.getMinutes() },
    });
  }

  #reviewAfterMs(policy: GamingPolicy): number {
    const { untilMs } = this.#report;
    const detectionMs = detectionDueMs(this.#detection, policy);
    const dues = [
      untilMs === null ? REVIEW_MS : untilMs - this.#clocks.wallMs,
      detectionMs === null ? REVIEW_MS : detectionMs - performance.now(),
    ];
    return Math.max(10, Math.min(REVIEW_MS, ...dues));
  }

  #recall(): void {
    try {
      const kept = Kept.parse(JSON.parse(readFileSync(this.#path, 'utf8')));
      this.#owner = kept.owner;
      this.#operator = kept.operator;
    } catch {
      // Nobody wished anything yet, or the file is of no use: then the machine decides.
    }
  }

  #keep(): void {
    try {
      writeFileSync(`${this.#path}.draft`, JSON.stringify({ owner: this.#owner, operator: this.#operator }), { mode: 0o600 });
      renameSync(`${this.#path}.draft`, this.#path);
    } catch (error) {
      this.#log.warn({ err: error }, 'the wish for gaming mode could not be kept; a restart will forget it');
    }
  }
}
