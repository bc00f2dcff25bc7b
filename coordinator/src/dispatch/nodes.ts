import type { NodeSnapshot } from '@lai/shared/node';
import type { AttemptRequest, LoadOutcome, RunningAttempt } from '../nodes/node-session.ts';
import type { NodeRecord } from '../nodes/registry.ts';

/** The way to a node that is connected, be it a socket of our own or another replica's. */
export interface NodeLink {
  readonly epoch: number;
  /** The agent process behind it. */
  readonly instanceId: string;
  startAttempt(request: AttemptRequest): RunningAttempt;
  /** Resolves when the node says that the model is warm or could not be loaded, or is lost. */
  loadModel(model: string, isForced?: boolean): Promise<LoadOutcome>;
}

/** The fleet as dispatching sees it. */
export interface Nodes {
  /** What the nodes said last, those that are away (`dead`) included. */
  list(): readonly NodeRecord[];
  snapshot(nodeId: string): NodeSnapshot | null;
  link(nodeId: string): NodeLink | undefined;
  /** Something may be otherwise of this node, or of any when none is named. */
  onChange(listener: (nodeId?: string) => void): () => void;
  /** A node has connected, perhaps again. */
  onReturn(listener: (nodeId: string, instanceId: string) => void): () => void;
}
