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

/** Only over the value that was read (null: there was none); false when it is another one by now. */
export const replaceSetting = async (db: Database, name: string, before: string | null, value: string): Promise<boolean> => {
  if (before !== null) {
    const update = db.updateTable('settings').set({ value }).where('name', '=', name).where('value', '=', before);
    return (await update.executeTakeFirst()).numUpdatedRows > 0n;
  }
  const insert = db.insertInto('settings').values({ name, value });
  const result = await insert.onConflict((conflict) => conflict.column('name').doNothing()).executeTakeFirst();
  return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
};

/** False when it was not there. */
export const deleteSetting = async (db: Database, name: string): Promise<boolean> =>
  (await db.deleteFrom('settings').where('name', '=', name).executeTakeFirst()).numDeletedRows > 0n;
