import type { EnrollRequest, EnrollResponse } from '@lai/shared/admin-api';
import { CodedError } from '@lai/shared/errors';
import type { FailureLimits } from '../access/failure-limits.ts';
import { admitNode, type MembershipContext } from '../access/node-membership.ts';

/** `POST /api/v1/enroll`: a registration token and a public key in, a place in the fleet out. */
export const enroll = async (
  call: { request: EnrollRequest; address: string },
  options: MembershipContext & { failures: FailureLimits },
): Promise<EnrollResponse> => {
  const nowMs = Date.now();
  const admitted = await admitNode(call.request, { address: call.address, nowMs }, options);
  if (admitted) return admitted;
  const waitSeconds = options.failures.failed(call.address, nowMs);
  if (waitSeconds !== null) throw new CodedError('rate_limit_exceeded', { retryAfterSeconds: waitSeconds });
  throw new CodedError('permission_denied', {
    message: 'This registration token is unknown, used or expired. `lai tokens create` makes a new one.',
  });
};
