import type { Database } from '../store/database.ts';
import {
  consumeRegistrationToken,
  countRefusedUse,
  findRegistrationToken,
  insertRegistrationToken,
  type RegistrationTokenRow,
} from '../store/registration-tokens.ts';
import { equalSecrets, randomHex, sha256 } from './secret.ts';

const TOKEN_PATTERN = /^laj_([0-9a-f]{12})_([0-9a-f]{32})_([0-9a-f]{32})$/;
const HOUR_MS = 60 * 60_000;
const DAY_MS = 24 * HOUR_MS;
const MAX_TTL_MS = 7 * DAY_MS;
const MAX_USES = 50;

export interface TokenOptions {
  readonly nowMs: number;
  /** Of the coordinator's public key: the machine that joins refuses any other coordinator. */
  readonly coordinatorFingerprint: string;
  readonly ttlMs?: number;
  readonly maxUses?: number;
  readonly needsApproval?: boolean;
  readonly group?: string;
  readonly label?: string;
  readonly createdBy?: string;
}

/**
 * A token that lets machines into the fleet: `laj_<id>_<secret>_<coordinator's fingerprint>`. Shown once, stored as a hash. One that
 * lasts longer than a day or lets several in may get into the wrong hands unnoticed, so whoever comes with it must be approved.
 */
export const createRegistrationToken = async (db: Database, options: TokenOptions): Promise<{ id: string; token: string }> => {
  const { nowMs, ttlMs = HOUR_MS, maxUses = 1 } = options;
  if (!(ttlMs > 0 && ttlMs <= MAX_TTL_MS)) throw new Error('a registration token lasts seven days at most');
  if (!(Number.isInteger(maxUses) && maxUses >= 1 && maxUses <= MAX_USES))
    throw new Error(`a registration token lets 1 to ${MAX_USES} machines in`);
  const [id, secret] = [randomHex(6), randomHex(16)];
  await insertRegistrationToken(db, {
    id,
    hash: sha256(secret),
    label: options.label ?? '',
    created_by: options.createdBy ?? '',
    created_at_ms: nowMs,
    expires_at_ms: nowMs + ttlMs,
    node_group: options.group ?? 'default',
    max_uses: maxUses,
    uses_left: maxUses,
    needs_approval: Number(options.needsApproval === true || maxUses > 1 || ttlMs > DAY_MS),
  });
  return { id, token: `laj_${id}_${secret}_${options.coordinatorFingerprint}` };
};

/**
 * `late`: the secret is right, but the token is used up, expired or revoked. Somebody has a copy of it, which is worth an alert;
 * `refusals` counts such visits.
 */
export type Redemption =
  | { readonly kind: 'accepted'; readonly row: RegistrationTokenRow }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'late'; readonly row: RegistrationTokenRow; readonly refusals: number };

export const redeemRegistrationToken = async (db: Database, token: string, nowMs: number): Promise<Redemption> => {
  const [, id, secret] = TOKEN_PATTERN.exec(token) ?? [];
  if (id === undefined || secret === undefined) return { kind: 'unknown' };
  const hash = sha256(secret);
  const isAccepted = await consumeRegistrationToken(db, id, hash, nowMs);
  const row = await findRegistrationToken(db, id);
  if (!row || !equalSecrets(row.hash, hash)) return { kind: 'unknown' };
  return isAccepted ? { kind: 'accepted', row } : { kind: 'late', row, refusals: await countRefusedUse(db, id) };
};
