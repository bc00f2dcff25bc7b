import type { ErrorCode } from '@lai/shared/errors';
import { modelKey, sameModel } from '@lai/shared/model-name';
import { estimatedNeedBytes } from '@lai/shared/model-need';
import type { LoadedModel, NodeSnapshot } from '@lai/shared/node';
import type { Logger } from 'pino';
import { freeRoomOf, hasCome, holdingsOf, mostRoomOf } from '../scheduler/fit.ts';
import type { LoadBar } from '../scheduler/fleet.ts';
import type { Candidate } from '../scheduler/place.ts';
import { type Clock, repeat } from './clock.ts';
import type { Figures } from './figures.ts';
import type { Nodes } from './nodes.ts';

/** A load that failed is tried once more, soon; from then on it is barred for longer each time. */
const FIRST_BAR_MS = 2_000;
const BAR_MS = 30_000;
const LONGEST_BAR_MS = 5 * 60_000;
/** The engine had no place for another model, since all that it holds were busy. */
const BUSY_BAR_MS = 2_000;
/** A GPU's own reading lags a load by up to 1.5 s, and agents take one every two. */
const READING_LAG_MS = 3_500;
/** A load that took more than this of what was estimated, and this on top, took it together with something else, perhaps. */
const DOUBTFUL_FACTOR = 1.5;
const DOUBTFUL_BYTES = 1024 ** 3;
/** A node's next snapshot comes sooner, unless it is gone. */
const SHOWN_LIMIT_MS = 2_000;
/** A crowd that waited for a load is served by it, mostly; before that shows, its length is no reason to load the model once more. */
const SETTLE_MS = 3_000;
/** Whatever else took the memory (a game that began just then) may have given it back. */
const SHORTAGE_MS = 30 * 60_000;

/** A load that takes longer than this no longer keeps another node from trying, nor its node from loading something else. */
const OVERDUE_MS = 60_000;
/** A third of how long a claim lives. */
const RENEW_MS = 5_000;
/** Before somebody who was told that another is at it asks again. */
const ASK_AGAIN_MS = 500;
/** A claim that could not be given back; after this long it has ended by itself. */
const GIVE_BACK_AGAIN_MS = 1_000;
const GIVE_BACK_TIMES = 15;

/** What is known of a load that ran out of memory. */
interface Shortage {
  /** The most that it could have had. */
  readonly roomBytes: number;
  readonly contextLength: number | null;
  readonly untilMs: number;
}

/** Where the whole fleet agrees that one replica at a time asks for a model. */
export interface LoadClaims {
  /** False when somebody else is at it. Again by who has it: renews it. Ends by itself, soon, should we die. */
  claim(model: string): Promise<boolean>;
  release(model: string): Promise<void>;
}

/**
 * Cold loads in progress. One at a time per model in the whole fleet, however many requests wait for it: they stay queued, bound to
 * nobody, and start where the model turns up. One at a time per node as well. A load that failed bars the model on that node for a while;
 * one that ran out of memory bars it wherever there is no more room than there was. Single writer of all of that.
 */
export class Loads {
  readonly #nodes: Nodes;
  readonly #claims: LoadClaims;
  readonly #figures: Figures;
  readonly #clock: Clock;
  readonly #onDone: () => void;
  readonly #log: Logger;
  /** By node: models it was asked to load, and when. */
  readonly #loading = new Map<string, Map<string, number>>();
  /** By node: models whose load failed a moment ago. The GPU may show their memory as taken, still. */
  readonly #leaving = new Map<string, Set<string>>();
  /** By node: the last snapshot that we have seen, what models held then, and when that was first told (the node's time). */
  readonly #held = new Map<string, { last: NodeSnapshot; holdings: ReadonlyMap<string, number>; sinceMs: number }>();
  readonly #bars = new Map<string, Map<string, LoadBar & { readonly failures: number }>>();
  /** By model. */
  readonly #shortages = new Map<string, Shortage>();
  /** By node and model: what a load seems to have taken, and may not have. */
  readonly #doubted = new Map<string, number>();
  /** Models that somebody else is loading, as far as we know. */
  readonly #elsewhere = new Set<string>();
  /** Models that were loaded a moment ago. */
  readonly #settling = new Set<string>();
  /** By model: claims that are being given back. */
  readonly #releasing = new Map<string, Promise<void>>();

  constructor(options: { nodes: Nodes; claims: LoadClaims; figures: Figures; clock: Clock; onDone: () => void; log: Logger }) {
    this.#nodes = options.nodes;
    this.#claims = options.claims;
    this.#figures = options.figures;
    this.#clock = options.clock;
    this.#onDone = options.onDone;
    this.#log = options.log;
    this.#nodes.onChange((nodeId) => {
      if (nodeId !== undefined) this.#look(nodeId);
    });
  }

  /** Asks the node to load the model, unless somebody is at it already. */
  request(candidate: Candidate): void {
    const { nodeId, model } = candidate;
    const name = modelKey(model);
    const nowMs = this.#clock.nowMs();
    const isTimely = (sinceMs: number) => nowMs - sinceMs < OVERDUE_MS;
    const isUnderWay = this.on(nodeId).has(model) || this.#loadsOf(model).some(([, sinceMs]) => isTimely(sinceMs));
    // Side by side none would be quicker, and how much memory either finds would be chance.
    const isBusy = [...this.on(nodeId).values()].some(isTimely);
    if (isUnderWay || isBusy || this.#elsewhere.has(name) || this.#settling.has(name)) return;
    const loading = this.#loading.get(nodeId) ?? new Map<string, number>();
    this.#loading.set(nodeId, loading.set(model, nowMs));
    void this.#load(candidate).finally(() => {
      loading.delete(model);
      this.#onDone();
    });
  }

  /** No model worth speaking of had come or gone for as long as readings may be old when the node last told of its memory. */
  isSettled(nodeId: string): boolean {
    this.#look(nodeId);
    const held = this.#held.get(nodeId);
    // Its clock may have been put back.
    return held === undefined || Math.abs(held.last.takenAtMs - held.sinceMs) >= READING_LAG_MS;
  }

  /** What room the model finds there is not chance: no other one is on its way there, nor has come or gone a moment ago. */
  isClear(nodeId: string, model: string): boolean {
    return this.isSettled(nodeId) && !this.#isBesideAnother(nodeId, model);
  }

  on(nodeId: string): ReadonlyMap<string, number> {
    return this.#loading.get(nodeId) ?? NO_MODELS;
  }

  barsOn(nodeId: string): ReadonlyMap<string, LoadBar> {
    return this.#bars.get(nodeId) ?? NO_BARS;
  }

  /** With less context than it was tried with it may fit. */
  shortageBytes({ id, contextLength }: Pick<LoadedModel, 'id' | 'contextLength'>): number | null {
    const shortage = this.#shortages.get(modelKey(id));
    if (!shortage || shortage.untilMs <= this.#clock.nowMs()) return null;
    const isLess = contextLength !== null && shortage.contextLength !== null && contextLength < shortage.contextLength;
    return isLess ? null : shortage.roomBytes;
  }

  /** Gives back what is claimed: whoever comes after us must not wait for the claims to end by themselves. */
  close(): void {
    for (const model of new Set([...this.#settling, ...[...this.#loading.values()].flatMap((models) => [...models.keys()])]))
      this.#claims.release(model).catch(() => {});
  }

  async #load({ nodeId, nodeName, model, isForced }: Candidate): Promise<void> {
    const link = this.#nodes.link(nodeId);
    // A release that is on its way would take the new claim with it.
    await this.#releasing.get(modelKey(model));
    if (!link || !(await this.#claims.claim(model).catch(() => true))) {
      this.#askAgainLater(model);
      return;
    }
    this.#log.info({ nodeId, node: nodeName, model }, 'asking node to load model');
    const stopRenewing = repeat(this.#clock, RENEW_MS, () => void this.#claims.claim(model).catch(() => {}));
    const before = this.#nodes.snapshot(nodeId);
    const leaving = new Set(this.#leaving.get(nodeId));
    let isClear = this.isClear(nodeId, model);
    const forget = this.#nodes.onChange(() => {
      isClear &&= !this.#isBesideAnother(nodeId, model);
    });
    const startedAtMs = this.#clock.nowMs();
    const outcome = await link.loadModel(model, isForced);
    forget();
    const finish = () => {
      stopRenewing();
      // Another node is at it, because this one took so long.
      if (this.#loadsOf(model).every(([loader]) => loader === nodeId)) this.#giveBack(model, GIVE_BACK_TIMES);
    };
    if (outcome.ok) {
      const loadMs = this.#clock.nowMs() - startedAtMs;
      await this.#shown(nodeId, model);
      this.#settle(model, finish);
      this.#figures.learn(nodeId, model, { loadMs });
      this.#bars.get(nodeId)?.delete(model);
      this.#shortages.delete(modelKey(model));
      this.#clock.after(READING_LAG_MS, () => this.#learnNeed(nodeId, model, before));
      return;
    }
    finish();
    // Where it is believed to be it may not be for a while yet: its replica knows, and the news is on its way.
    if (outcome.code === 'node_lost') this.#askAgainLater(model);
    const isShort = outcome.code === 'out_of_memory';
    // With another load beside it, or just before it, nobody knows how much room there was.
    isClear &&= !this.#isBesideAnother(nodeId, model) && !this.#isJoined(nodeId, before);
    const isKnown = isShort && isClear && before !== null && this.#noteShortage(model, before, leaving);
    const roomBytes = isKnown ? this.#shortages.get(modelKey(model))?.roomBytes : undefined;
    this.#log.warn({ nodeId, node: nodeName, model, code: outcome.code, roomBytes }, 'model load failed');
    this.#leave(nodeId, model);
    // What ran out of memory is barred by that, wherever there is no more room.
    if (isKnown) return;
    if (isShort && !isClear) this.#barFor(nodeId, model, READING_LAG_MS);
    else this.#bar(nodeId, model, outcome.code);
  }

  #settle(model: string, finish: () => void): void {
    const name = modelKey(model);
    this.#settling.add(name);
    this.#clock.after(SETTLE_MS, () => {
      this.#settling.delete(name);
      finish();
      this.#onDone();
    });
  }

  /** Nothing is known to have changed on a node that is seen for the first time. */
  #look(nodeId: string): void {
    const snapshot = this.#nodes.snapshot(nodeId);
    const known = this.#held.get(nodeId);
    if (!snapshot || snapshot === known?.last) return;
    const holdings = holdingsOf(snapshot);
    const was = known?.holdings ?? holdings;
    const hasChanged = hasCome(was, holdings) || hasCome(holdings, was);
    const sinceMs = hasChanged ? snapshot.takenAtMs : (known?.sinceMs ?? Number.NEGATIVE_INFINITY);
    this.#held.set(nodeId, { last: snapshot, holdings, sinceMs });
  }

  /** One of ours, or of another replica. What failed a moment ago may be shown as under way, still. */
  #isBesideAnother(nodeId: string, model: string): boolean {
    const shown = this.#nodes.snapshot(nodeId)?.models.filter(({ state }) => state === 'loading') ?? [];
    const elsewhere = shown.filter(({ id }) => !this.#leaving.get(nodeId)?.has(id));
    return [...this.on(nodeId).keys(), ...elsewhere.map(({ id }) => id)].some((id) => id !== model);
  }

  /** Models are there that were not: loaded by another replica, which we may not have seen. */
  #isJoined(nodeId: string, before: NodeSnapshot | null): boolean {
    const now = this.#nodes.snapshot(nodeId);
    return before !== null && now !== null && hasCome(holdingsOf(before), holdingsOf(now));
  }

  #leave(nodeId: string, model: string): void {
    const leaving = this.#leaving.get(nodeId) ?? new Set<string>();
    this.#leaving.set(nodeId, leaving.add(model));
    this.#clock.after(READING_LAG_MS, () => leaving.delete(model));
  }

  /** Not at once: whoever is at it takes seconds, and would be asked about it a thousand times. */
  #askAgainLater(model: string): void {
    const name = modelKey(model);
    this.#elsewhere.add(name);
    this.#clock.after(ASK_AGAIN_MS, () => {
      this.#elsewhere.delete(name);
      this.#onDone();
    });
  }

  /** Until it is given back, has ended by itself, or is needed again. */
  #giveBack(model: string, timesLeft: number): void {
    const name = modelKey(model);
    const tryAgain = () => {
      if (timesLeft > 1 && this.#loadsOf(model).length === 0) this.#giveBack(model, timesLeft - 1);
    };
    const releasing = this.#claims.release(model).then(
      () => void this.#releasing.delete(name),
      () => {
        this.#releasing.delete(name);
        this.#clock.after(GIVE_BACK_AGAIN_MS, tryAgain);
      },
    );
    this.#releasing.set(name, releasing);
  }

  /**
   * What the load took, when nothing else changed meanwhile that could be seen. Something that could not be (a game that began) makes it
   * look larger, and a model that is believed not to fit is never loaded again and never corrected: what is far from the estimate counts
   * only when it is seen twice.
   */
  #learnNeed(nodeId: string, model: string, before: NodeSnapshot | null): void {
    const after = this.#nodes.snapshot(nodeId);
    const tookBytes = before && after && takenBy(model, before, after);
    if (tookBytes === null || tookBytes <= 0 || this.on(nodeId).size > 0) return;
    const place = `${nodeId}\n${model}`;
    const doubted = this.#doubted.get(place);
    this.#doubted.delete(place);
    const entry = after?.models.find(({ id }) => id === model);
    const estimate = entry ? estimatedNeedBytes(entry) : null;
    const isLikely = (bytes: number) => tookBytes <= DOUBTFUL_FACTOR * bytes + DOUBTFUL_BYTES;
    if (estimate === null || isLikely(estimate) || (doubted !== undefined && isLikely(doubted)))
      this.#figures.learn(nodeId, model, { needBytes: tookBytes });
    else this.#doubted.set(place, tookBytes);
  }

  #bar(nodeId: string, model: string, code: ErrorCode): void {
    if (code === 'node_lost') return;
    if (NOT_ITS_FAULT.has(code)) {
      this.#barFor(nodeId, model, BUSY_BAR_MS);
      return;
    }
    const failures = (this.#bars.get(nodeId)?.get(model)?.failures ?? 0) + 1;
    const barMs = failures === 1 ? FIRST_BAR_MS : Math.min(LONGEST_BAR_MS, BAR_MS * (failures - 1));
    this.#barFor(nodeId, model, barMs, failures);
  }

  /** Without a number of failures it is none of the model, and nobody is told. */
  #barFor(nodeId: string, model: string, barMs: number, failures?: number): void {
    const bars = this.#bars.get(nodeId) ?? new Map<string, LoadBar & { readonly failures: number }>();
    const untilMs = this.#clock.nowMs() + barMs;
    const isTelling = failures !== undefined && failures > 1;
    bars.set(model, { failures: failures ?? bars.get(model)?.failures ?? 0, untilMs, isTelling });
    this.#bars.set(nodeId, bars);
  }

  /** False when nobody can tell how much room there was. */
  #noteShortage(model: string, before: NodeSnapshot, leaving: ReadonlySet<string>): boolean {
    const roomBytes = mostRoomOf(before, leaving);
    if (roomBytes === null) return false;
    const contextLength = before.models.find(({ id }) => id === model)?.contextLength ?? null;
    const known = this.shortageBytes({ id: model, contextLength }) ?? 0;
    const untilMs = this.#clock.nowMs() + SHORTAGE_MS;
    this.#shortages.set(modelKey(model), { roomBytes: Math.max(roomBytes, known), contextLength, untilMs });
    return true;
  }

  /**
   * The node's word that the model is warm may come before the snapshot that says so, and until that is here, whoever looks would find
   * it nowhere and load it a second time.
   */
  async #shown(nodeId: string, model: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => {
      const entry = this.#nodes.snapshot(nodeId)?.models.find((other) => other.id === model);
      if (entry === undefined || entry.state !== 'cold') resolve();
    };
    const forget = this.#nodes.onChange(look);
    const disarm = this.#clock.after(SHOWN_LIMIT_MS, resolve);
    look();
    await promise;
    forget();
    disarm();
  }

  /** Nodes that are at it, and since when. */
  #loadsOf(model: string): [string, number][] {
    return [...this.#loading].flatMap(([nodeId, models]) =>
      [...models].flatMap(([other, sinceMs]): [string, number][] => (sameModel(other, model) ? [[nodeId, sinceMs]] : [])),
    );
  }
}

/**
 * Memory that is gone since `before`, of the same GPUs; null when it cannot have been this model alone. An agent that has just started
 * has not found its GPUs yet and tells of main memory only.
 */
const takenBy = (model: string, before: NodeSnapshot, after: NodeSnapshot): number | null => {
  const gpus = ({ gpus }: NodeSnapshot) => gpus.map(({ id }) => id).join('\n');
  const others = ({ models }: NodeSnapshot) =>
    models
      .flatMap(({ id, state }) => (id === model || state === 'cold' || state === 'failed' ? [] : [`${id} ${state}`]))
      .join('\n');
  const isWarm = after.models.some(({ id, state }) => id === model && state === 'warm');
  if (!isWarm || gpus(before) !== gpus(after) || others(before) !== others(after)) return null;
  const [had, has] = [freeRoomOf(before), freeRoomOf(after)];
  return had === null || has === null ? null : had - has;
};

/** Nothing is wrong with the model: the engine is full, or the machine's owner came. */
const NOT_ITS_FAULT: ReadonlySet<ErrorCode> = new Set(['engine_overloaded', 'node_held', 'preempted', 'canceled']);

const NO_MODELS: ReadonlyMap<string, number> = new Map();
const NO_BARS: ReadonlyMap<string, LoadBar> = new Map();
