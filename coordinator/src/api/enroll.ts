import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { EnrollRequest, type EnrollResponse } from '@lai/shared/admin-api';
import { CodedError } from '@lai/shared/errors';
import { redeemRegistrationToken } from '../access/registration-tokens.ts';
import type { Database } from '../store/database.ts';
import { insertNode } from '../store/nodes.ts';
import { readJsonBody } from './openai/body.ts';

/** `POST /api/v1/enroll`: a registration token and a public key in, a place in the fleet out. The only mutation without an API key. */
export const enroll = async (
  request: IncomingMessage,
  options: { db: Database; coordinatorKey: string },
): Promise<EnrollResponse> => {
  const { value } = await readJsonBody(request, EnrollRequest, { maxTextBytes: 4_096 });
  const nowMs = Date.now();
  if (!(await redeemRegistrationToken(options.db, value.token, nowMs))) {
    throw new CodedError('permission_denied', {
      message: 'This registration token is unknown, used or expired. `lai tokens create` makes a new one.',
    });
  }
  const nodeId = `node_${randomUUID()}`;
  await insertNode(options.db, {
    id: nodeId,
    name: value.name,
    public_key: value.publicKey,
    created_at_ms: nowMs,
    revoked_at_ms: null,
  });
  return { nodeId, coordinatorKey: options.coordinatorKey };
};
