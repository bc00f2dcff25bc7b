import type { ErrorCode } from '@lai/shared/errors';
import { isSimulated, type LoadedModel } from '@lai/shared/node';
import type { Target } from '../routing/target.ts';
import {
  FAILURES,
  isHopeful,
  isInStep,
  LASTING,
  meant,
  overridesGaming,
  type Refusal,
  type RefusalReason,
  refuseModel,
  refuseNode,
} from './filters.ts';
import type { FleetNode } from './fleet.ts';
import { type Action, actionFor, fitToLoad, freeSlots, type Score, scoreOf, totalMs } from './score.ts';

export interface Candidate {
  readonly nodeId: string;
  readonly nodeName: string;
  readonly epoch: number;
  /** The node's own name for the model. */
  readonly model: string;
  readonly action: Action;
  readonly score: Score;
  readonly expectedMs: number;
  /** It passes a gaming hold of the node, which the node must be told with the request. */
  readonly isForced: boolean;
  /** What a claim is checked against. */
  readonly nodeSlots: number;
  readonly modelSlots: number;
}

export interface Placement {
  /**
   * `run`: this candidate has a free slot, and is the quickest or not much slower. `load`: the quickest way is a cold load. `drain`: it is
   * a load that has no room before others' models are idle. `wait`: a busy or loading one is quickest, or nobody can at the moment.
   * `failing`: whoever could has tried to load it, and failed. `never`: no connected node will, however long one waits.
   */
  readonly decision:
    | { readonly kind: 'run' | 'load' | 'drain'; readonly candidate: Candidate }
    | { readonly kind: 'wait' }
    | { readonly kind: 'failing' | 'never'; readonly code: ErrorCode };
  /** Best first. */
  readonly candidates: readonly Candidate[];
  readonly refusals: readonly Refusal[];
}

export interface PlacementQuestion {
  readonly target: Target;
  readonly nodes: readonly (FleetNode & { readonly epoch: number })[];
  /** Nodes that this request has failed on. */
  readonly excluded: ReadonlySet<string>;
  /** Node that answered this conversation before. */
  readonly affinity: string | null;
  /** It may have crashed an engine: only where nothing else runs. */
  readonly needsAlone: boolean;
  /** Requests of this target that wait already. */
  readonly queued: number;
  /** How long the first of them has waited for a slot. */
  readonly waitedMs?: number;
  readonly nowMs: number;
}

/**
 * Which node, if any, should take the next request of a target. Pure: the same question has the same answer, and the answer says why.
 * Refuse (filters), then say what could be done and what it would cost (score), then take the cheapest.
 */
export const place = (question: PlacementQuestion): Placement => {
  const { target, nodes, nowMs } = question;
  const refusals: Refusal[] = [];
  const candidates: Ranked[] = [];
  let hasReal = false;
  for (const node of nodes) {
    const refuse = (model: string | null, reason: RefusalReason, detail: string) =>
      refusals.push({ nodeId: node.nodeId, nodeName: node.snapshot.name, model, reason, detail });
    if (!isInStep(node.nodeId, target)) {
      refuse(null, 'not_in_step', 'is not where this request may go');
      continue;
    }
    const models = meant(node, target);
    if (models.length === 0) {
      refuse(null, 'no_model', `does not have ${target.model}`);
      continue;
    }
    const nodeVerdict = refuseNode(node, question);
    for (const model of models) {
      const verdict = lastingFirst(refuseModel(node, model, target, nowMs), nodeVerdict);
      hasReal ||= !isSimulated(node.snapshot, model.runtime) && isHopeful(verdict);
      if (verdict) refuse(model.id, verdict.reason, verdict.detail);
      else candidates.push(candidateOf(node, model, question));
    }
  }
  if (hasReal)
    for (const { nodeId, nodeName, model } of takeSimulated(candidates))
      refusals.push({ nodeId, nodeName, model, reason: 'simulated', detail: 'is simulated, and a real node can serve this' });
  candidates.sort(bestFirst);
  for (const rested of takeRests(candidates, nowMs)) {
    const { nodeId, nodeName, model } = rested;
    refusals.push({ nodeId, nodeName, model, reason: 'cooling', detail: 'failed several times lately and is given a rest' });
  }
  // An empty fleet is one that has not connected yet; what it will have, nobody knows.
  const decision = nodes.length === 0 ? { kind: 'wait' as const } : decide(candidates, refusals);
  return { decision, candidates, refusals };
};

/** What lasts is the better reason to give: "cannot see images" helps more than "is busy". */
const lastingFirst = <V extends { reason: RefusalReason }>(model: V | null, node: V | null): V | null =>
  model && LASTING.has(model.reason) ? model : (node ?? model);

type Ranked = Candidate & { readonly room: number; readonly coolingUntilMs: number; readonly isSimulated: boolean };

/** Leaves nothing to the order in which nodes and models came. */
const bestFirst = (a: Ranked, b: Ranked): number =>
  a.expectedMs - b.expectedMs || b.room - a.room || a.nodeId.localeCompare(b.nodeId) || a.model.localeCompare(b.model);

const candidateOf = (node: FleetNode & { epoch: number }, model: LoadedModel, question: PlacementQuestion): Ranked => {
  const room = freeSlots(node, model);
  const fit = fitToLoad(node, model);
  const score = scoreOf(node, model, question, room, fit);
  return {
    nodeId: node.nodeId,
    nodeName: node.snapshot.name,
    epoch: node.epoch,
    model: model.id,
    action: actionFor(node, model, room, fit),
    score,
    expectedMs: totalMs(score),
    isForced: overridesGaming(node.snapshot, question.target),
    nodeSlots: node.snapshot.maxConcurrent,
    modelSlots: model.slots,
    room,
    coolingUntilMs: node.coolingUntilMs(model.id),
    isSimulated: isSimulated(node.snapshot, model.runtime),
  };
};

/** Takes the simulated candidates out of the list. */
const takeSimulated = (candidates: Ranked[]): Ranked[] => {
  const simulated = candidates.filter((candidate) => candidate.isSimulated);
  for (const candidate of simulated) candidates.splice(candidates.indexOf(candidate), 1);
  return simulated;
};

/**
 * Takes candidates that failed lately out of the list, but never more than half of it and never the last: a fleet that is all in trouble
 * serves with what it has. Those whose rest ends soonest stay.
 */
const takeRests = (candidates: Ranked[], nowMs: number): Ranked[] => {
  const cooling = candidates
    .filter((candidate) => candidate.coolingUntilMs > nowMs)
    .sort((a, b) => b.coolingUntilMs - a.coolingUntilMs);
  const rested = cooling.slice(0, Math.floor(candidates.length / 2));
  for (const candidate of rested) candidates.splice(candidates.indexOf(candidate), 1);
  return rested;
};

const decide = (candidates: readonly Candidate[], refusals: readonly Refusal[]): Placement['decision'] => {
  const best = candidates[0];
  if (best) {
    if (best.action === 'run') return { kind: 'run', candidate: best };
    // What the best may take is an estimate; a slot that is free now is a fact. Take it unless it is far slower.
    const free = candidates.find((candidate) => candidate.action === 'run');
    if (free && free.expectedMs < 2 * best.expectedMs) return { kind: 'run', candidate: free };
    // Whoever can be served where it is, later, has no claim on others' room.
    const canWait = best.action === 'wait' || (best.action === 'drain' && candidates.some(({ action }) => action === 'wait'));
    return canWait ? { kind: 'wait' } : { kind: best.action, candidate: best };
  }
  const has = (reason: RefusalReason) => refusals.some((refusal) => refusal.reason === reason);
  const passing = refusals.filter(({ reason }) => !LASTING.has(reason));
  const failure = FAILURES.find(has);
  // Who is away may be so for days, and is nothing to wait for when those who are here have failed.
  const isFailing = ({ reason }: Refusal) => reason === 'offline' || FAILURES.some((code) => code === reason);
  if (failure && passing.every(isFailing)) return { kind: 'failing', code: failure };
  if (passing.length > 0) return { kind: 'wait' };
  if (has('context_too_short')) return { kind: 'never', code: 'context_length_exceeded' };
  if (has('capability_missing')) return { kind: 'never', code: 'capability_missing' };
  if (has('too_large')) return { kind: 'never', code: 'model_too_large' };
  return { kind: 'never', code: 'model_not_found' };
};
