import { randomUUID } from 'node:crypto';
import { type ApiKeyRow, findApiKeyByHash, insertApiKey, recordKeyUse } from '../store/api-keys.ts';
import type { Database } from '../store/database.ts';
import { InUse, type StillMay, type Use } from './in-use.ts';
import type { Principal, Scope } from './principal.ts';
import { equalSecrets, randomHex, sha256 } from './secret.ts';

export type { Principal, Scope } from './principal.ts';

const KEY_PATTERN = /^lai_[0-9a-f]{32}$/;
/** Characters kept in clear, so that a person can tell their keys apart. */
const PREFIX_LENGTH = 8;
/** How long a key may still work after it was revoked elsewhere, and how long a wrong one is remembered as wrong. */
const CACHE_MS = 5_000;
const CACHE_SIZE = 10_000;
/** When a key was used last is of interest to people: not with every request. */
const USES_MS = 30_000;

export interface NewSecret {
  readonly key: string;
  readonly hash: string;
  readonly prefix: string;
}

export const newSecret = (): NewSecret => {
  const key = `lai_${randomHex(16)}`;
  return { key, hash: sha256(key), prefix: key.slice(0, PREFIX_LENGTH) };
};

export interface NewApiKey {
  readonly id: string;
  /** The only time that anybody sees it. */
  readonly key: string;
}

export const createApiKey = async (
  db: Database,
  options: {
    name: string;
    scopes: readonly Scope[];
    nowMs: number;
    expiresAtMs?: number | null;
    models?: readonly string[] | null;
  },
): Promise<NewApiKey> => {
  const { key, hash, prefix } = newSecret();
  const id = `key_${randomUUID()}`;
  await insertApiKey(db, {
    id,
    name: options.name,
    hash,
    prefix,
    scopes: JSON.stringify(options.scopes),
    models: options.models ? JSON.stringify(options.models) : null,
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

/** Until when this secret opens anything, if it does at all: epoch ms or Infinity, null when it does not. */
const validUntil = (row: ApiKeyRow | undefined, hash: string, nowMs: number): number | null => {
  if (!row || row.revoked_at_ms !== null || row.is_enabled !== 1) return null;
  const isCurrent = equalSecrets(row.hash, hash);
  const untilMs = Math.min(
    row.expires_at_ms ?? Number.POSITIVE_INFINITY,
    isCurrent ? Number.POSITIVE_INFINITY : (row.previous_until_ms ?? 0),
  );
  return untilMs > nowMs ? untilMs : null;
};

/**
 * Who a key belongs to. Looks keys up by their hash, remembers the answer for a few seconds, and knows which of them are in use right
 * now, so that work in progress can be stopped when a key stops being valid. Single writer of all of that.
 */
export class ApiKeys {
  readonly #db: Database;
  readonly #known = new Map<string, { principal: Principal | null; untilMs: number }>();
  /** By the hash of the key. */
  readonly #inUse = new InUse();
  readonly #uses = new Map<string, number>();
  readonly #timers: NodeJS.Timeout[];
  /** Goes up when what was read before may no longer be true. */
  #revision = 0;

  constructor(db: Database) {
    this.#db = db;
    this.#timers = [
      setInterval(() => void this.recheck(Date.now()).catch(() => {}), CACHE_MS),
      setInterval(() => void this.writeUses().catch(() => {}), USES_MS),
    ];
    for (const timer of this.#timers) timer.unref();
  }

  /** The same `null` for unknown, disabled, revoked and expired keys: the difference is nobody's business. */
  async authenticate(key: string, nowMs: number): Promise<Principal | null> {
    const hash = sha256(key);
    const known = this.#known.get(hash);
    const principal = known && known.untilMs > nowMs ? known.principal : await this.#lookUp(hash, nowMs);
    if (principal) this.#uses.set(principal.keyId, nowMs);
    return principal;
  }

  use(key: string, stillMay: StillMay): Use {
    return this.#inUse.begin(sha256(key), stillMay);
  }

  /** Something may have changed, here or at another replica: forget what is known, and stop what a key no longer allows. */
  async recheck(nowMs: number): Promise<void> {
    this.#revision += 1;
    this.#known.clear();
    await this.#inUse.recheck((hash) => this.#lookUp(hash, nowMs));
  }

  async writeUses(): Promise<void> {
    const uses = new Map(this.#uses);
    this.#uses.clear();
    await recordKeyUse(this.#db, uses);
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.writeUses();
  }

  async #lookUp(hash: string, nowMs: number): Promise<Principal | null> {
    for (;;) {
      const revision = this.#revision;
      const row = await findApiKeyByHash(this.#db, hash);
      // Revoked while we looked: what we read may be from before.
      if (revision !== this.#revision) continue;
      const untilMs = validUntil(row, hash, nowMs);
      const principal = row && untilMs !== null ? principalOf(row) : null;
      if (this.#known.size >= CACHE_SIZE) this.#known.clear();
      this.#known.set(hash, { principal, untilMs: Math.min(nowMs + CACHE_MS, untilMs ?? Number.POSITIVE_INFINITY) });
      return principal;
    }
  }
}

const principalOf = (row: ApiKeyRow): Principal => ({
  keyId: row.id,
  name: row.name,
  scopes: JSON.parse(row.scopes) as Scope[],
  models: row.models === null ? null : (JSON.parse(row.models) as string[]),
});
