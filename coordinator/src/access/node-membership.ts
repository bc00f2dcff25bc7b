import { randomUUID } from 'node:crypto';
import type { EnrollRequest, EnrollResponse } from '@lai/shared/admin-api';
import { fingerprintWords, keyFingerprint } from '@lai/shared/ed25519';
import { CodedError } from '@lai/shared/errors';
import type { Logger } from 'pino';
import type { Database } from '../store/database.ts';
import { findNodeByKey, insertNode, listNodes, moveNode, replaceNodeKey } from '../store/nodes.ts';
import { appendAudit } from './audit.ts';
import { freeName } from './node-name.ts';
import { redeemRegistrationToken } from './registration-tokens.ts';
import type { Revocation } from './revocations.ts';

/** Visits with a token that is worth nothing any more that get an entry each; a flood of them must not fill the log. */
const MAX_ALERTS = 10;

export interface MembershipContext {
  readonly db: Database;
  readonly coordinatorKey: string;
  readonly log: Logger;
  /** Tells every replica of a machine that came, and of a token that was used or shown in vain; after it is in the database. */
  readonly announce: (news: Revocation) => void;
}

/**
 * A registration token and a public key in, a place in the fleet out: approved, or pending when the token says so. The node is called
 * as it wishes, or by a name that no other node has. Null: the token opens nothing, whatever the reason.
 */
export const admitNode = async (
  request: EnrollRequest,
  visit: { address: string; nowMs: number },
  { db, coordinatorKey, log, announce }: MembershipContext,
): Promise<EnrollResponse | null> => {
  const origin = visit.address;
  const nodeId = `node_${randomUUID()}`;
  const redemption = await db.transaction().execute(async (trx) => {
    const redeemed = await redeemRegistrationToken(trx, request.token, visit.nowMs);
    if (redeemed.kind !== 'accepted') return redeemed;
    if (await findNodeByKey(trx, request.publicKey))
      throw new CodedError('invalid_value', { message: 'publicKey: is in use; make a fresh one', param: 'publicKey' });
    const { row } = redeemed;
    const name = freeName(
      request.name,
      (await listNodes(trx)).map((node) => node.name),
    );
    const state = row.needs_approval === 1 ? 'pending' : 'approved';
    await insertNode(trx, {
      ...{ id: nodeId, name, public_key: request.publicKey, created_at_ms: visit.nowMs, revoked_at_ms: null },
      ...{ state, node_group: row.node_group, token_id: row.id },
    });
    const fingerprint = fingerprintWords(await keyFingerprint(request.publicKey));
    await appendAudit(trx, {
      atMs: visit.nowMs,
      actor: { name: `token ${row.id}`, origin },
      action: 'node.enroll',
      object: nodeId,
      detail: { name, state, fingerprint },
    });
    return { ...redeemed, name };
  });
  if (redemption.kind === 'unknown') return null;
  if (redemption.kind === 'late') {
    const { row, refusals } = redemption;
    log.error(
      { alert: 'token.reused', token: row.id, refusals, origin },
      'a used, expired or revoked registration token was shown',
    );
    if (refusals <= MAX_ALERTS)
      await appendAudit(db, {
        atMs: visit.nowMs,
        actor: { name: `token ${row.id}`, origin },
        action: 'token.reused',
        object: row.id,
        detail: { name: request.name, refusals },
      });
    announce({ kind: 'token', id: row.id });
    return null;
  }
  announce({ kind: 'node', id: nodeId });
  announce({ kind: 'token', id: redemption.row.id });
  const state = redemption.row.needs_approval === 1 ? 'pending' : 'approved';
  const { name } = redemption;
  log.info({ nodeId, name, ...(name === request.name ? {} : { wanted: request.name }), state, origin }, 'node enrolled');
  return { nodeId, name, coordinatorKey, state };
};

/** The node may not work until an operator has decided. False: it may not already. */
export const lockNode = async (
  node: { id: string; name: string },
  why: { alert: string; reason: string; address: string; nowMs: number; detail: Record<string, unknown> },
  { db, log }: Pick<MembershipContext, 'db' | 'log'>,
): Promise<boolean> => {
  const { alert, reason, address, nowMs, detail } = why;
  const isLocked = await db.transaction().execute(async (trx) => {
    if (!(await moveNode(trx, node.id, { from: ['approved'], to: 'locked', reason, nowMs }))) return false;
    await appendAudit(trx, {
      atMs: nowMs,
      actor: { name: 'coordinator', origin: address },
      action: 'node.lock',
      object: node.id,
      detail: { name: node.name, ...detail },
    });
    return true;
  });
  if (isLocked) log.error({ alert, nodeId: node.id, name: node.name, from: address }, reason);
  return isLocked;
};

/** The node has signed for another key with the one it has. False: another connection was faster. */
export const rotateNodeKey = async (
  node: { id: string; name: string; public_key: string },
  nextKey: string,
  visit: { address: string; nowMs: number },
  { db, log }: Pick<MembershipContext, 'db' | 'log'>,
): Promise<boolean> => {
  const fingerprint = fingerprintWords(await keyFingerprint(nextKey));
  const isReplaced = await db.transaction().execute(async (trx) => {
    if (await findNodeByKey(trx, nextKey)) return false;
    if (!(await replaceNodeKey(trx, node.id, { from: node.public_key, to: nextKey }))) return false;
    await appendAudit(trx, {
      atMs: visit.nowMs,
      actor: { name: `node ${node.name}`, origin: visit.address },
      action: 'node.rotate',
      object: node.id,
      detail: { fingerprint },
    });
    return true;
  });
  if (isReplaced) log.info({ nodeId: node.id, fingerprint }, 'the node has another key');
  return isReplaced;
};
