import type { Database, Tables } from './tables.ts';

type ExplanationRow = Tables['explanations'];

/** Rows of one statement: PostgreSQL takes 65,535 parameters, SQLite fewer. */
const ROWS_AT_ONCE = 500;

export const insertExplanations = async (db: Database, rows: readonly ExplanationRow[]): Promise<void> => {
  for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) {
    await db
      .insertInto('explanations')
      .values(rows.slice(at, at + ROWS_AT_ONCE))
      .onConflict((conflict) => conflict.column('request_id').doNothing())
      .execute();
  }
};

/** The JSON, or undefined when there is none (any more). */
export const findExplanation = async (db: Database, requestId: string): Promise<string | undefined> =>
  (await db.selectFrom('explanations').select('explanation').where('request_id', '=', requestId).executeTakeFirst())?.explanation;

export const deleteExplanationsBefore = async (db: Database, atMs: number): Promise<void> => {
  await db.deleteFrom('explanations').where('at_ms', '<', atMs).execute();
};
