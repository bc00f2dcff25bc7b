import type { ApiKeyRow, Database, NewApiKeyRow } from './tables.ts';

export type { ApiKeyRow } from './tables.ts';

export const insertApiKey = async (db: Database, row: NewApiKeyRow): Promise<void> => {
  await db.insertInto('api_keys').values(row).execute();
};

/** The key whose secret has this hash, or had it before its last rotation. */
export const findApiKeyByHash = (db: Database, hash: string): Promise<ApiKeyRow | undefined> =>
  db
    .selectFrom('api_keys')
    .selectAll()
    .where((where) => where.or([where('hash', '=', hash), where('previous_hash', '=', hash)]))
    .executeTakeFirst();

export const findApiKey = (db: Database, id: string): Promise<ApiKeyRow | undefined> =>
  db.selectFrom('api_keys').selectAll().where('id', '=', id).executeTakeFirst();

export const listApiKeys = (db: Database): Promise<ApiKeyRow[]> =>
  db.selectFrom('api_keys').selectAll().orderBy('created_at_ms').orderBy('id').execute();

/** False when there is no such key, or it is revoked. */
export const updateApiKey = async (
  db: Database,
  id: string,
  change: Partial<Pick<ApiKeyRow, 'name' | 'scopes' | 'models' | 'is_enabled' | 'expires_at_ms'>>,
): Promise<boolean> => {
  const query = db.updateTable('api_keys').set(change).where('id', '=', id).where('revoked_at_ms', 'is', null);
  return (await query.executeTakeFirst()).numUpdatedRows > 0n;
};

/** False when there is no such key, or it is revoked already. */
export const revokeApiKey = async (db: Database, id: string, nowMs: number): Promise<boolean> => {
  const result = await db
    .updateTable('api_keys')
    .set({ revoked_at_ms: nowMs })
    .where('id', '=', id)
    .where('revoked_at_ms', 'is', null)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
};

/** Gives the key another secret; the one it had works until `previousUntilMs`, or no longer when that is null. */
export const replaceSecret = async (
  db: Database,
  id: string,
  next: { hash: string; prefix: string; previousUntilMs: number | null },
): Promise<boolean> => {
  const result = await db
    .updateTable('api_keys')
    .set((set) => ({
      previous_hash: next.previousUntilMs === null ? null : set.ref('hash'),
      previous_until_ms: next.previousUntilMs,
      hash: next.hash,
      prefix: next.prefix,
    }))
    .where('id', '=', id)
    .where('revoked_at_ms', 'is', null)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
};

/** Never goes back, whatever order replicas write in. */
export const recordKeyUse = async (db: Database, uses: ReadonlyMap<string, number>): Promise<void> => {
  for (const [id, atMs] of uses)
    await db
      .updateTable('api_keys')
      .set({ last_used_at_ms: atMs })
      .where('id', '=', id)
      .where((where) => where.or([where('last_used_at_ms', 'is', null), where('last_used_at_ms', '<', atMs)]))
      .execute();
};
