import type { Database, NewRegistrationTokenRow, RegistrationTokenRow } from './tables.ts';

export type { RegistrationTokenRow } from './tables.ts';

export const insertRegistrationToken = async (db: Database, row: NewRegistrationTokenRow): Promise<void> => {
  await db.insertInto('registration_tokens').values(row).execute();
};

export const findRegistrationToken = (db: Database, id: string): Promise<RegistrationTokenRow | undefined> =>
  db.selectFrom('registration_tokens').selectAll().where('id', '=', id).executeTakeFirst();

export const listRegistrationTokens = (db: Database): Promise<RegistrationTokenRow[]> =>
  db.selectFrom('registration_tokens').selectAll().orderBy('created_at_ms').orderBy('id').execute();

/** Takes one use of the token, in one statement, so that two machines cannot both have the last one. */
export const consumeRegistrationToken = async (db: Database, id: string, hash: string, nowMs: number): Promise<boolean> => {
  const result = await db
    .updateTable('registration_tokens')
    .set((set) => ({ uses_left: set('uses_left', '-', 1) }))
    .where('id', '=', id)
    .where('hash', '=', hash)
    .where('uses_left', '>', 0)
    .where('expires_at_ms', '>', nowMs)
    .where('revoked_at_ms', 'is', null)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
};

/** Counts a use that came too late; the number of them so far. */
export const countRefusedUse = async (db: Database, id: string): Promise<number> => {
  await db
    .updateTable('registration_tokens')
    .set((set) => ({ refused_uses: set('refused_uses', '+', 1) }))
    .where('id', '=', id)
    .execute();
  return (await findRegistrationToken(db, id))?.refused_uses ?? 0;
};

/** False when there is no such token, or it is revoked already. */
export const revokeRegistrationToken = async (db: Database, id: string, nowMs: number): Promise<boolean> => {
  const result = await db
    .updateTable('registration_tokens')
    .set({ revoked_at_ms: nowMs })
    .where('id', '=', id)
    .where('revoked_at_ms', 'is', null)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
};
