import type { FleetStatus } from '@lai/shared/admin-api';
import type { Matching } from '../../dispatch/matching.ts';
import type { Registry } from '../../nodes/registry.ts';
import { VERSION } from '../../version.ts';

export const fleetStatus = ({
  registry,
  matching,
  isRedisUp,
}: {
  registry: Registry;
  matching: Matching;
  isRedisUp: () => boolean;
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
  })),
});
