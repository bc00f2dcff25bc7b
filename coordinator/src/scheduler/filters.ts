import type { ErrorCode } from '@lai/shared/errors';
import { modelsNamed, namedBy, sameModel } from '@lai/shared/model-name';
import type { Hold, LoadedModel, NodeSnapshot } from '@lai/shared/node';
import { AUTO, type Target } from '../routing/target.ts';
import { fitOf } from './fit.ts';
import { type FleetNode, stateOf } from './fleet.ts';

/** Why a node, or a model on it, is not for this target: a closed list that people read and clients may switch on. */
export type RefusalReason =
  | 'offline'
  | 'suspect'
  | 'held'
  | 'no_model'
  | 'not_in_step'
  | 'capability_missing'
  | 'context_too_short'
  | 'already_tried'
  | 'no_slots'
  | 'simulated'
  | 'unloading'
  | 'reserved'
  | 'not_alone'
  | 'cooling'
  | 'making_room'
  | 'load_resting'
  | 'load_failed'
  | 'out_of_memory'
  | 'does_not_fit'
  | 'too_large';

export interface Refusal {
  readonly nodeId: string;
  readonly nodeName: string;
  readonly model: string | null;
  readonly reason: RefusalReason;
  readonly detail: string;
}

/** Reasons that no waiting will change while the node has the models it has. */
export const LASTING: ReadonlySet<RefusalReason> = new Set([
  'no_model',
  'not_in_step',
  'capability_missing',
  'context_too_short',
  'too_large',
  'simulated',
]);

/** Loads that were tried and failed: what may change that is nothing that a request should wait for. */
export const FAILURES = ['load_failed', 'out_of_memory'] as const satisfies readonly (RefusalReason & ErrorCode)[];

/** Reasons that pass within seconds, without anybody's doing. */
export const PASSING: ReadonlySet<RefusalReason> = new Set<RefusalReason>([
  'suspect',
  'unloading',
  'reserved',
  'not_alone',
  'making_room',
  'load_resting',
  'cooling',
]);

type Verdict = { readonly reason: RefusalReason; readonly detail: string } | null;

/** The whole machine, whichever model. */
export const refuseNode = (
  node: FleetNode,
  { excluded, needsAlone, target }: { excluded: ReadonlySet<string>; needsAlone: boolean; target: Target },
): Verdict => {
  if (node.liveness === 'dead') return { reason: 'offline', detail: 'not connected' };
  if (node.liveness === 'suspect') return { reason: 'suspect', detail: 'does not answer pings' };
  if (excluded.has(node.nodeId)) return { reason: 'already_tried', detail: 'failed this request before' };
  const holds = holdsAgainst(node, target).map((hold) => `${hold.kind} (${hold.cause})`);
  if (holds.length > 0) return { reason: 'held', detail: holds.join(', ') };
  if (node.isReserved) return { reason: 'reserved', detail: 'kept free for a request that may be dangerous' };
  if (needsAlone && node.leased.total > 0)
    return { reason: 'not_alone', detail: 'serves others, and this request must run alone' };
  return null;
};

/** Holds that keep a request of this target away. A forced request passes a gaming hold where the node's owner allows that. */
const holdsAgainst = ({ snapshot }: FleetNode, target: Target): readonly Hold[] =>
  overridesGaming(snapshot, target) ? snapshot.holds.filter(({ kind }) => kind !== 'gaming') : snapshot.holds;

/** Does the target pass a gaming hold of this node that others do not pass? */
export const overridesGaming = ({ gaming, holds }: NodeSnapshot, target: Target): boolean =>
  target.overridesGaming === true && gaming?.allowsForced === true && holds.some(({ kind }) => kind === 'gaming');

/** May the node serve the target at all, as far as its route goes? */
export const isInStep = (nodeId: string, { nodes }: Target): boolean => nodes === undefined || nodes.includes(nodeId);

/** Models of the node that the target may mean. */
export const meant = (node: FleetNode, target: Target): LoadedModel[] =>
  (target.model === AUTO ? anyOf(node.snapshot.models, target) : modelsNamed(node.snapshot.models, target.model)).filter(
    isOffered,
  );

const anyOf = (models: readonly LoadedModel[], { models: patterns }: Target): readonly LoadedModel[] =>
  patterns === undefined ? models : models.filter(({ id }) => namedBy(patterns, id));

/** What is only in memory, or cannot be read, can do nothing. */
const isOffered = ({ capabilities }: LoadedModel): boolean => capabilities.length > 0;

/** One model on a node that is otherwise fine. What it lacks comes first: that lasts. */
export const refuseModel = (node: FleetNode, model: LoadedModel, target: Target, nowMs: number): Verdict => {
  const lacking = target.capabilities.filter((capability) => !model.capabilities.includes(capability));
  if (lacking.length > 0) return { reason: 'capability_missing', detail: `cannot do ${lacking.join(', ')}` };
  if (model.contextLength !== null && model.contextLength < target.contextTokens) {
    return {
      reason: 'context_too_short',
      detail: `context of ${model.contextLength} tokens, about ${target.contextTokens} needed`,
    };
  }
  if (model.slots === 0) return { reason: 'no_slots', detail: 'configured for no requests' };
  if (model.state === 'draining' || model.state === 'unloading') return { reason: 'unloading', detail: 'being unloaded' };
  if (node.roomFor !== null && !sameModel(node.roomFor, model.id))
    return { reason: 'making_room', detail: `makes room for ${node.roomFor}, which has waited long` };
  const state = stateOf(node, model);
  if (state !== 'cold' && state !== 'failed') return null;
  const bar = node.loadBars.get(model.id);
  if (bar && bar.untilMs > nowMs)
    return { reason: bar.isTelling ? 'load_failed' : 'load_resting', detail: model.failure?.message ?? 'loading failed lately' };
  const fit = fitOf(model, node);
  if (fit.kind === 'ran_out')
    return { reason: 'out_of_memory', detail: `loading ran out of memory with ${gib(fit.hadBytes)} GiB` };
  if (fit.kind === 'does_not_fit' || fit.kind === 'too_large') {
    const most = fit.kind === 'too_large' ? 'is all there is' : 'can be had';
    return { reason: fit.kind, detail: `needs ${gib(fit.needBytes)} GiB, ${gib(fit.haveBytes)} GiB ${most}` };
  }
  return null;
};

/**
 * Does this verdict on a real model leave hope that it will serve the request? Then no simulated one may: an answer that is late, or an
 * honest error, is better than one that is made up. A node that is not connected may be away for days and keeps nobody from trying.
 */
export const isHopeful = (verdict: Verdict): boolean =>
  verdict === null || (!LASTING.has(verdict.reason) && verdict.reason !== 'offline');

const gib = (bytes: number): string => (bytes / 1024 ** 3).toFixed(1);
