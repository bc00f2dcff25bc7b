import type { Database } from '../store/database.ts';
import { consumeRegistrationToken, insertRegistrationToken } from '../store/registration-tokens.ts';
import { randomHex, sha256 } from './secret.ts';

const TOKEN_PATTERN = /^laj_([0-9a-f]{12})_([0-9a-f]{32})$/;
const DEFAULT_TTL_MS = 60 * 60_000;

/** A token that lets one machine into the fleet. Shown once, stored as a hash. */
export const createRegistrationToken = async (db: Database, nowMs: number, ttlMs = DEFAULT_TTL_MS): Promise<string> => {
  const [id, secret] = [randomHex(6), randomHex(16)];
  await insertRegistrationToken(db, {
    id,
    hash: sha256(secret),
    created_at_ms: nowMs,
    expires_at_ms: nowMs + ttlMs,
    uses_left: 1,
  });
  return `laj_${id}_${secret}`;
};

export const redeemRegistrationToken = async (db: Database, token: string, nowMs: number): Promise<boolean> => {
  const [, id, secret] = TOKEN_PATTERN.exec(token) ?? [];
  return id !== undefined && secret !== undefined && consumeRegistrationToken(db, id, sha256(secret), nowMs);
};
