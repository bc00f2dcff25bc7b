import type { NodeLink } from '../../../coordinator/src/dispatch/nodes.ts';
import type { History } from '../history.ts';

/** The same way, and the observer hears what goes over it. */
export const observedLink = (
  link: NodeLink,
  {
    nodeId,
    replicaId,
    history,
    leasedEpochs,
  }: { nodeId: string; replicaId: string; history: History; leasedEpochs: ReadonlyMap<string, number> },
): NodeLink => ({
  epoch: link.epoch,
  instanceId: link.instanceId,
  startAttempt: (request) => {
    const { attemptId, requestId } = request;
    const leasedEpoch = leasedEpochs.get(attemptId) ?? null;
    history.tell({ kind: 'attempt.started', replicaId, nodeId, attemptId, requestId, epoch: link.epoch, leasedEpoch });
    const running = link.startAttempt(request);
    void running.settled.then((outcome) => history.tell({ kind: 'attempt.settled', attemptId, outcome }));
    return running;
  },
  loadModel: (model, isForced) => {
    history.tell({ kind: 'load.asked', replicaId, nodeId, model });
    return link.loadModel(model, isForced).then((outcome) => {
      const code = outcome.ok ? null : outcome.code;
      history.tell({ kind: 'load.answered', replicaId, nodeId, model, code });
      return outcome;
    });
  },
});
