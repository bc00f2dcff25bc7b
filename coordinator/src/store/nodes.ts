import type { Database, Tables } from './database.ts';

export type NodeRow = Tables['nodes'];

export const insertNode = async (db: Database, row: Omit<NodeRow, 'generation'>): Promise<void> => {
  await db.insertInto('nodes').values(row).execute();
};

export const findNode = (db: Database, id: string) => db.selectFrom('nodes').selectAll().where('id', '=', id).executeTakeFirst();

export const listNodes = (db: Database) =>
  db.selectFrom('nodes').selectAll().where('revoked_at_ms', 'is', null).orderBy('created_at_ms').execute();

/**
 * Counts the node's connection if it showed the last count it was given. False: it showed another one, so two machines use this
 * identity, or a copy of it came back. The row before the last one is accepted too: the node may have died before it stored the last.
 */
export const advanceGeneration = async (db: Database, id: string, shown: number): Promise<number | false> => {
  const result = await db
    .updateTable('nodes')
    .set({ generation: shown + 1 })
    .where('id', '=', id)
    .where((where) => where.or([where('generation', '=', shown), where('generation', '=', shown + 1)]))
    .executeTakeFirst();
  return result.numUpdatedRows > 0n && shown + 1;
};
