import { randomUUID } from 'node:crypto';
import { findApiKeyByHash, insertApiKey } from '../store/api-keys.ts';
import type { Database } from '../store/database.ts';
import { randomHex, sha256 } from './secret.ts';

export type Scope = 'inference' | 'admin' | 'read';

/** Who a request comes from, as far as it matters for what it may do. */
export interface Principal {
  readonly keyId: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
}

const KEY_PATTERN = /^lai_[0-9a-f]{32}$/;
/** Characters kept in clear, so that a person can tell their keys apart. */
const PREFIX_LENGTH = 8;
/** How long a key may still work after it was revoked elsewhere, and how long a wrong one is remembered as wrong. */
const CACHE_MS = 5_000;
const CACHE_SIZE = 10_000;

export interface NewApiKey {
  readonly id: string;
  /** The only time that anybody sees it. */
  readonly key: string;
}

export const createApiKey = async (
  db: Database,
  options: { name: string; scopes: readonly Scope[]; nowMs: number; expiresAtMs?: number },
): Promise<NewApiKey> => {
  const key = `lai_${randomHex(16)}`;
  const id = `key_${randomUUID()}`;
  await insertApiKey(db, {
    id,
    name: options.name,
    hash: sha256(key),
    prefix: key.slice(0, PREFIX_LENGTH),
    scopes: JSON.stringify(options.scopes),
    created_at_ms: options.nowMs,
    expires_at_ms: options.expiresAtMs ?? null,
    revoked_at_ms: null,
  });
  return { id, key };
};

/** `Bearer lai_…`, or the bare key. Only the exact shape of a key gets any further than here. */
export const keyFromHeader = (header: string | undefined): string | null => {
  const key = header?.replace(/^Bearer\s+/i, '').trim() ?? '';
  return KEY_PATTERN.test(key) ? key : null;
};

/** Looks keys up by their hash, remembering the answer for a few seconds. Single writer of its memory. */
export class ApiKeys {
  readonly #db: Database;
  readonly #known = new Map<string, { principal: Principal | null; untilMs: number }>();

  constructor(db: Database) {
    this.#db = db;
  }

  /** The same `null` for unknown, revoked and expired keys: the difference is nobody's business. */
  async authenticate(key: string, nowMs: number): Promise<Principal | null> {
    const hash = sha256(key);
    const known = this.#known.get(hash);
    if (known && known.untilMs > nowMs) return known.principal;
    const row = await findApiKeyByHash(this.#db, hash);
    const isValid = row && row.revoked_at_ms === null && (row.expires_at_ms === null || row.expires_at_ms > nowMs);
    const principal = isValid ? { keyId: row.id, name: row.name, scopes: JSON.parse(row.scopes) as Scope[] } : null;
    if (this.#known.size >= CACHE_SIZE) this.#known.clear();
    this.#known.set(hash, { principal, untilMs: Math.min(nowMs + CACHE_MS, (isValid && row.expires_at_ms) || Infinity) });
    return principal;
  }
}
