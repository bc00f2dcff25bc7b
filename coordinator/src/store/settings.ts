import type { Database } from './database.ts';

export const readSetting = async (db: Database, name: string): Promise<string | null> =>
  (await db.selectFrom('settings').select('value').where('name', '=', name).executeTakeFirst())?.value ?? null;

/** Writes the value if there is none yet and returns the one that counts. */
export const keepSetting = async (db: Database, name: string, value: string): Promise<string> => {
  await db
    .insertInto('settings')
    .values({ name, value })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute();
  return (await readSetting(db, name)) ?? value;
};

/** Whatever was there before. */
export const writeSetting = async (db: Database, name: string, value: string): Promise<void> => {
  await db
    .insertInto('settings')
    .values({ name, value })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
    .execute();
};

/** False when it was not there. */
export const deleteSetting = async (db: Database, name: string): Promise<boolean> =>
  (await db.deleteFrom('settings').where('name', '=', name).executeTakeFirst()).numDeletedRows > 0n;
