import type { AuditEntry, KeyView, NodeEntry, Scope, TokenView } from '@lai/shared/admin-api';
import { fingerprintWords, keyFingerprint } from '@lai/shared/ed25519';
import type { ApiKeyRow } from '../store/api-keys.ts';
import type { AuditRow } from '../store/audit-log.ts';
import { desiredOf, type NodeRow } from '../store/nodes.ts';
import type { RegistrationTokenRow } from '../store/registration-tokens.ts';

/** What operators see of rows: everything but hashes and keys. */
export const keyView = (row: ApiKeyRow, nowMs: number): KeyView => ({
  id: row.id,
  name: row.name,
  prefix: row.prefix,
  scopes: JSON.parse(row.scopes) as Scope[],
  models: row.models === null ? null : (JSON.parse(row.models) as string[]),
  state: keyState(row, nowMs),
  createdAtMs: row.created_at_ms,
  expiresAtMs: row.expires_at_ms,
  lastUsedAtMs: row.last_used_at_ms,
});

const keyState = (row: ApiKeyRow, nowMs: number): KeyView['state'] => {
  if (row.revoked_at_ms !== null) return 'revoked';
  if (row.expires_at_ms !== null && row.expires_at_ms <= nowMs) return 'expired';
  return row.is_enabled === 1 ? 'valid' : 'disabled';
};

export const tokenView = (row: RegistrationTokenRow, nowMs: number): TokenView => ({
  id: row.id,
  label: row.label,
  group: row.node_group,
  state: tokenState(row, nowMs),
  createdBy: row.created_by,
  createdAtMs: row.created_at_ms,
  expiresAtMs: row.expires_at_ms,
  maxUses: row.max_uses,
  usesLeft: row.uses_left,
  needsApproval: row.needs_approval === 1,
  refusedUses: row.refused_uses,
});

const tokenState = (row: RegistrationTokenRow, nowMs: number): TokenView['state'] => {
  if (row.revoked_at_ms !== null) return 'revoked';
  if (row.uses_left <= 0) return 'used';
  return row.expires_at_ms <= nowMs ? 'expired' : 'valid';
};

export const nodeEntry = async (row: NodeRow): Promise<NodeEntry> => ({
  id: row.id,
  name: row.name,
  group: row.node_group,
  state: row.state,
  stateReason: row.state_reason,
  fingerprint: fingerprintWords(await keyFingerprint(row.public_key)),
  createdAtMs: row.created_at_ms,
  tokenId: row.token_id,
  lastConnectedAtMs: row.last_connected_at_ms,
  lastAddress: row.last_address,
  lastTransport: row.last_transport,
  desired: desiredOf(row),
});

export const auditEntry = (row: AuditRow): AuditEntry => ({
  seq: row.seq,
  atMs: row.at_ms,
  actor: row.actor,
  action: row.action,
  object: row.object,
  detail: JSON.parse(row.detail) as Record<string, unknown>,
  origin: row.origin,
  hash: row.hash,
});
