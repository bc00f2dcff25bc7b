import type { Database, Tables } from './database.ts';

export type RegistrationTokenRow = Tables['registration_tokens'];

export const insertRegistrationToken = async (db: Database, row: RegistrationTokenRow): Promise<void> => {
  await db.insertInto('registration_tokens').values(row).execute();
};

/** Takes one use of the token, in one statement, so that two machines cannot both have the last one. */
export const consumeRegistrationToken = async (db: Database, id: string, hash: string, nowMs: number): Promise<boolean> => {
  const result = await db
    .updateTable('registration_tokens')
    .set((set) => ({ uses_left: set('uses_left', '-', 1) }))
    .where('id', '=', id)
    .where('hash', '=', hash)
    .where('uses_left', '>', 0)
    .where('expires_at_ms', '>', nowMs)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
};
