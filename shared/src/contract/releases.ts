import { CoordinatorCertificate } from '../coordinator-certificate.ts';
import * as releases from '../release-api.ts';
import { operations } from './operation.ts';

/** How agents come onto machines, and to newer versions. */
export const releaseOperations = operations({
  'POST /api/v1/join-commands': {
    operationId: 'createJoinCommand',
    action: 'token.write',
    summary:
      'The line that installs the agent on a machine and lets it join; holds a new registration token. Where no release is there for the system, it is made first, which takes up to a minute; GET /api/v1/updates tells how far that is',
    request: releases.NewJoinCommand,
    response: releases.JoinCommand,
    status: 201,
  },
  'GET /api/v1/certificate': {
    operationId: 'getCertificate',
    action: 'release.read',
    summary: 'The authority that vouches for a coordinator with --lan, signed with the identity that registration tokens name',
    response: CoordinatorCertificate,
  },
  'GET /api/v1/updates': {
    operationId: 'getUpdates',
    action: 'update.read',
    summary: 'Releases of the agent that are here, which node has which, and the rollout',
    response: releases.UpdateStatus,
  },
  'POST /api/v1/updates': {
    operationId: 'startRollout',
    action: 'update.write',
    summary: 'Bring a version to every node: one first, then the others; stops at the first that fails',
    request: releases.NewRollout,
    response: releases.Rollout,
    status: 201,
  },
  'DELETE /api/v1/updates': {
    operationId: 'stopRollout',
    action: 'update.write',
    summary: 'Tell no further node to update itself',
    response: releases.Rollout,
  },
});
