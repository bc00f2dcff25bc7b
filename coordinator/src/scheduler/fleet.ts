import type { LoadedModel, ModelState, NodeSnapshot } from '@lai/shared/node';

/** What the scheduler is told about a node: plain data, taken at one moment. */
export interface FleetNode {
  readonly nodeId: string;
  readonly liveness: 'alive' | 'suspect' | 'dead';
  readonly snapshot: NodeSnapshot;
  /** Slots taken on the node, and per model id, as counted by leases: fresher than the snapshot's own count. */
  readonly leased: { readonly total: number; readonly byModel: ReadonlyMap<string, number> };
  /** A slot of this model was refused a moment ago, whatever the counts say. */
  readonly isContested: (model: string) => boolean;
  /** Models that the node was asked to load and has not reported on yet, with when that was (epoch ms). */
  readonly loading: ReadonlyMap<string, number>;
  /** Taken whole by one request that may have crashed an engine before; nobody else is put at risk beside it. */
  readonly isReserved: boolean;
  /** Until when a model here is given a rest after failures in a row; 0 when it is not. */
  readonly coolingUntilMs: (model: string) => number;
  /** Models that must not be loaded here for a while, by model id. */
  readonly loadBars: ReadonlyMap<string, LoadBar>;
  /** Room in which a load of this model, with as much context, last ran out of memory, on whatever node; null when it did not. */
  readonly shortageBytes: (model: LoadedModel) => number | null;
  /** Its free memory is that of the models that are shown. What came or went a moment ago is not in its readings yet. */
  readonly isSettled: boolean;
  /** Somebody waits for this model, which keeps it in memory while it is idle. */
  readonly isWanted: (model: string) => boolean;
  /** The model for which others are kept away until it is loaded; null when there is none. */
  readonly roomFor: string | null;
  readonly figures: (model: string) => LearnedFigures;
}

export interface LoadBar {
  readonly untilMs: number;
  /** It has failed again and again, which is what anybody who waits for it should be told. */
  readonly isTelling: boolean;
}

/** A load that was asked for a moment ago is under way, whatever the last snapshot says. */
export const stateOf = (node: FleetNode, model: LoadedModel): ModelState =>
  node.loading.has(model.id) ? 'loading' : model.state;

/** What was learned of a model on a node; `null` is not known yet. */
export interface LearnedFigures {
  readonly loadMs: number | null;
  readonly firstContentMs: number | null;
  /** How long an attempt holds its slot. */
  readonly attemptMs: number | null;
  /** Memory that a load really took. */
  readonly needBytes: number | null;
  /** How fast it reads a prompt, and how fast it writes one answer. */
  readonly prefillTokensPerSecond: number | null;
  readonly tokensPerSecond: number | null;
}

export const nothingLearned: LearnedFigures = {
  ...{ loadMs: null, firstContentMs: null, attemptMs: null, needBytes: null },
  ...{ prefillTokensPerSecond: null, tokensPerSecond: null },
};

/** Slots taken of a model, under all the names of its one copy in memory. */
export const leasedOf = ({ snapshot, leased }: Pick<FleetNode, 'snapshot' | 'leased'>, { id, sharedAs }: LoadedModel): number =>
  sharedAs === undefined
    ? (leased.byModel.get(id) ?? 0)
    : snapshot.models.reduce((sum, other) => sum + (other.sharedAs === sharedAs ? (leased.byModel.get(other.id) ?? 0) : 0), 0);
