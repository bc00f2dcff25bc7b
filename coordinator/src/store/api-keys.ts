import type { Database, Tables } from './database.ts';

export type ApiKeyRow = Tables['api_keys'];

export const insertApiKey = async (db: Database, row: ApiKeyRow): Promise<void> => {
  await db.insertInto('api_keys').values(row).execute();
};

export const findApiKeyByHash = (db: Database, hash: string): Promise<ApiKeyRow | undefined> =>
  db.selectFrom('api_keys').selectAll().where('hash', '=', hash).executeTakeFirst();

export const listApiKeys = (db: Database): Promise<ApiKeyRow[]> =>
  db.selectFrom('api_keys').selectAll().orderBy('created_at_ms').execute();

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
