import type { FleetStatus, NodeView } from '@lai/shared/admin-api';
import { sameModel } from '@lai/shared/model-name';
import { type Readiness, readinessOf } from '@lai/shared/readiness';

/** What `lai up` does next, decided from the fleet. Pure. */
export type NextStep =
  /** A node can answer: ask the first question. */
  | { readonly kind: 'ask' }
  | { readonly kind: 'pull'; readonly nodeId: string; readonly model: string }
  /** A person has to do something, or to agree that we do. `offer`: a model that could be pulled. */
  | { readonly kind: 'tell'; readonly readiness: Readiness; readonly nodeId: string; readonly offer: boolean }
  /** It passes by itself; null: no node has connected yet. */
  | { readonly kind: 'wait'; readonly readiness: Readiness | null };

const ANSWERS: ReadonlySet<Readiness['kind']> = new Set(['ready', 'simulated', 'loading']);

export const nextStep = (status: FleetStatus, wish: { nodes: number; pull: string | null }): NextStep => {
  const alive = status.nodes.filter(({ liveness, snapshot }) => liveness === 'alive' && snapshot !== null);
  const told = alive.map((node) => ({ node, readiness: node.snapshot && readinessOf(node.snapshot) }));
  const able = told.filter(({ readiness }) => readiness && ANSWERS.has(readiness.kind));
  const pulling = wish.pull === null ? null : nodeForPull(alive, wish.pull);
  if (pulling && wish.pull !== null) return { kind: 'pull', nodeId: pulling.nodeId, model: wish.pull };
  if (able.length >= wish.nodes) return { kind: 'ask' };
  const [first] = told.filter((entry) => !able.includes(entry));
  if (!first?.readiness) return { kind: 'wait', readiness: null };
  const { node, readiness } = first;
  if (readiness.passes) return { kind: 'wait', readiness };
  return { kind: 'tell', readiness, nodeId: node.nodeId, offer: lacksModel(readiness) && canPull(node) };
};

/** A node that could pull the model and neither has nor gets it. */
const nodeForPull = (nodes: readonly NodeView[], model: string): NodeView | undefined => {
  const has = ({ snapshot }: NodeView) =>
    snapshot?.models.some(({ id }) => sameModel(id, model)) || snapshot?.pulls?.some((pull) => sameModel(pull.model, model));
  return nodes.some(has) ? undefined : nodes.find(canPull);
};

const lacksModel = ({ kind }: Readiness): boolean => kind === 'no_model' || kind === 'only_embeddings';

const canPull = ({ snapshot }: NodeView): boolean =>
  snapshot?.runtimes.some(({ kind, state, isSimulated }) => kind === 'ollama' && state === 'ready' && !isSimulated) === true;

/** A simulated node of ours is of no use any more once a real one of another machine can chat. Pure. */
export const isStandInObsolete = (status: FleetStatus): boolean => {
  const kinds = status.nodes
    .filter(({ liveness }) => liveness === 'alive')
    .flatMap(({ snapshot }) => (snapshot ? [readinessOf(snapshot).kind] : []));
  return kinds.includes('simulated') && kinds.some((kind) => kind === 'ready' || kind === 'loading');
};
