import type { FleetStatus, LearnedSpeeds } from '@lai/shared/admin-api';
import type { Matching } from '../../dispatch/matching.ts';
import type { Registry } from '../../nodes/registry.ts';
import { VERSION } from '../../version.ts';

export const fleetStatus = ({
  registry,
  matching,
  isRedisUp,
  speedsOf,
}: {
  registry: Registry;
  matching: Matching;
  isRedisUp: () => boolean;
  /** What was learned of a model on a node. */
  speedsOf: (nodeId: string, model: string) => LearnedSpeeds;
}): FleetStatus => ({
  version: VERSION,
  uptimeSeconds: Math.round(process.uptime()),
  redis: isRedisUp() ? 'up' : 'down',
  waiting: matching.waiting,
  running: matching.running,
  nodes: registry.list().map(({ nodeId, epoch, liveness, snapshot }) => ({
    nodeId,
    epoch,
    liveness: liveness === 'dead' ? 'offline' : liveness,
    snapshot,
    speeds: Object.fromEntries(
      snapshot.models.map(({ id }) => {
        const { tokensPerSecond, firstContentMs, loadMs } = speedsOf(nodeId, id);
        return [id, { tokensPerSecond, firstContentMs, loadMs }];
      }),
    ),
  })),
});
