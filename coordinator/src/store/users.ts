import type { Database, NewUserRow, UserRow } from './tables.ts';

export type { UserRole, UserRow } from './tables.ts';

/** False when the name is taken. */
export const insertUser = async (db: Database, row: NewUserRow): Promise<boolean> => {
  const result = await db
    .insertInto('users')
    .values(row)
    .onConflict((conflict) => conflict.column('name').doNothing())
    .executeTakeFirst();
  return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
};

export const findUser = (db: Database, id: string): Promise<UserRow | undefined> =>
  db.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirst();

export const findUserByName = (db: Database, name: string): Promise<UserRow | undefined> =>
  db.selectFrom('users').selectAll().where('name', '=', name).executeTakeFirst();

export const listUsers = (db: Database): Promise<UserRow[]> =>
  db.selectFrom('users').selectAll().orderBy('created_at_ms').orderBy('id').execute();

export const isAnybodyThere = async (db: Database): Promise<boolean> =>
  (await db.selectFrom('users').select('id').limit(1).executeTakeFirst()) !== undefined;

export const updateUser = async (
  db: Database,
  id: string,
  change: Partial<Pick<UserRow, 'role' | 'is_enabled' | 'password_hash' | 'last_sign_in_at_ms'>>,
): Promise<boolean> => (await db.updateTable('users').set(change).where('id', '=', id).executeTakeFirst()).numUpdatedRows > 0n;

export const deleteUser = async (db: Database, id: string): Promise<boolean> =>
  (await db.deleteFrom('users').where('id', '=', id).executeTakeFirst()).numDeletedRows > 0n;
