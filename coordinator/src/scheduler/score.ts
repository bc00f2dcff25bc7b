import type { LoadedModel } from '@lai/shared/node';
import type { Target } from '../routing/target.ts';
import { type Fit, fitOf } from './fit.ts';
import { type FleetNode, type LearnedFigures, leasedOf, stateOf } from './fleet.ts';

/** What can be done with a candidate this moment. `drain`: it could be loaded if others were kept away until their models are idle. */
export type Action = 'run' | 'wait' | 'load' | 'drain';

/** For so long a refused claim keeps others from asking; see dispatch/leases.ts. */
const OVERTAKEN_MS = 50;

/** Expected milliseconds to the first token, by part; the sum decides, the parts explain. */
export interface Score {
  readonly waitMs: number;
  readonly loadMs: number;
  readonly evictMs: number;
  /** What is slower because part of the model will be in main memory. */
  readonly spillMs: number;
  readonly prefillMs: number;
  /** Spreads requests over equal nodes: neighbours on one GPU slow each other down. */
  readonly crowdMs: number;
  /** Prefill that is likely spared because this node answered the conversation before; negative. */
  readonly affinityMs: number;
}

export const totalMs = (score: Score): number =>
  score.waitMs + score.loadMs + score.evictMs + score.spillMs + score.prefillMs + score.crowdMs + score.affinityMs;

/** Assumed until something was learned: a disk that gives 500 MB/s, an answer of ten seconds, a second of prefill, slow eviction, a CPU. */
const ASSUMED = { loadBytesPerMs: 500_000, loadMs: 10_000, attemptMs: 10_000, prefillMs: 1_000, evictMs: 1_500, spillMs: 30_000 };

/** By all that is known; the last one asked for may have been refused all the same. */
const countedSlots = (node: FleetNode, model: LoadedModel): number =>
  Math.min(model.slots - leasedOf(node, model), node.snapshot.maxConcurrent - node.leased.total);

export const freeSlots = (node: FleetNode, model: LoadedModel): number =>
  node.isContested(model.id) ? 0 : countedSlots(node, model);

/** How it would fit; null when it is there or on its way. */
export const fitToLoad = (node: FleetNode, model: LoadedModel): Fit | null => {
  const state = stateOf(node, model);
  return state === 'warm' || state === 'loading' ? null : fitOf(model, node);
};

/** `free`, `fit`: where they are known already. */
export const actionFor = (
  node: FleetNode,
  model: LoadedModel,
  free = freeSlots(node, model),
  fit = fitToLoad(node, model),
): Action => {
  if (fit) return fit.kind === 'fits_after_drain' ? 'drain' : 'load';
  return stateOf(node, model) === 'warm' && free > 0 ? 'run' : 'wait';
};

/** What a long prompt takes to be read at least; 0 while nobody knows how fast that goes. */
export const readingMs = ({ prefillTokensPerSecond }: LearnedFigures, promptTokens: number): number =>
  prefillTokensPerSecond === null ? 0 : (promptTokens / prefillTokensPerSecond) * 1_000;

/** Most of a known prompt's prefill is spared; never more than that, so a busy node does not win by memory alone. */
const SPARED_BY_AFFINITY = 0.8;

export interface ScoreQuestion {
  readonly queued: number;
  readonly waitedMs?: number;
  readonly nowMs: number;
  readonly affinity: string | null;
  readonly target: Pick<Target, 'contextTokens'>;
}

/**
 * A slot frees every attemptMs / slots; on average half of that has passed. Whoever has waited longer than that already sees that what runs
 * is not what usually does: as much again is to be expected, so nobody waits longer for a slot than a load would have taken.
 */
const waitForSlotMs = (attemptMs: number | null, slots: number, queued: number, waitedMs: number): number =>
  Math.max(((attemptMs ?? ASSUMED.attemptMs) * (queued + 0.5)) / Math.max(1, slots), waitedMs);

const longestAttemptMs = (node: FleetNode, models: readonly string[]): number =>
  Math.max(...models.map((model) => node.figures(model).attemptMs ?? ASSUMED.attemptMs));

const fullLoadMs = (node: FleetNode, { id, sizeBytes }: LoadedModel): number =>
  node.figures(id).loadMs ?? (sizeBytes === null ? ASSUMED.loadMs : sizeBytes / ASSUMED.loadBytesPerMs);

/** One that takes longer than it should may not end at all. */
const restOfLoadMs = (node: FleetNode, model: LoadedModel, nowMs: number): number =>
  Math.max(fullLoadMs(node, model) / 2, nowMs - (node.loading.get(model.id) ?? nowMs));

/** A node loads one model after another; see dispatch/loads.ts. */
const loadsBeforeMs = (node: FleetNode, model: LoadedModel, nowMs: number): number =>
  node.snapshot.models
    .filter(({ id }) => id !== model.id && node.loading.has(id))
    .reduce((sum, other) => sum + restOfLoadMs(node, other, nowMs), 0);

export const scoreOf = (
  node: FleetNode,
  model: LoadedModel,
  { queued, waitedMs = 0, affinity, target, nowMs }: ScoreQuestion,
  free = freeSlots(node, model),
  fit = fitToLoad(node, model),
): Score => {
  const state = stateOf(node, model);
  const figures = node.figures(model.id);
  const prefillMs = Math.max(figures.firstContentMs ?? ASSUMED.prefillMs, readingMs(figures, target.contextTokens));
  const leased = node.leased.byModel.get(model.id) ?? 0;
  // Only overtaken by somebody: asks again in a moment, which is no reason to load the model elsewhere.
  const isOvertaken = node.isContested(model.id) && countedSlots(node, model) > 0;
  const isFull = free <= 0;
  // Until the last answer of others' models has ended.
  const drainMs = fit?.kind === 'fits_after_drain' ? longestAttemptMs(node, fit.inUse) : 0;
  const slotMs = isOvertaken ? OVERTAKEN_MS : isFull ? waitForSlotMs(figures.attemptMs, model.slots, queued, waitedMs) : 0;
  return {
    waitMs: Math.max(drainMs, slotMs) + (fit ? loadsBeforeMs(node, model, nowMs) : 0),
    loadMs: state === 'warm' ? 0 : state === 'loading' ? restOfLoadMs(node, model, nowMs) : fullLoadMs(node, model),
    evictMs: fit?.kind === 'fits_after_eviction' || fit?.kind === 'fits_after_drain' ? ASSUMED.evictMs : 0,
    spillMs: fit?.kind === 'fits_in_part' ? ASSUMED.spillMs * fit.missingShare : 0,
    prefillMs,
    crowdMs: isFull ? 0 : (prefillMs * leased) / Math.max(1, model.slots),
    affinityMs: state === 'warm' && affinity === node.nodeId ? -SPARED_BY_AFFINITY * prefillMs : 0,
  };
};
