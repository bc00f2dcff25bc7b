import type { AuditRow, Database } from './tables.ts';

export type { AuditRow } from './tables.ts';

export const lastAuditRow = (db: Database): Promise<AuditRow | undefined> =>
  db.selectFrom('audit_log').selectAll().orderBy('seq', 'desc').limit(1).executeTakeFirst();

/** False when another coordinator has just written that number: read the last one again and try the next. */
export const insertAuditRow = async (db: Database, row: AuditRow): Promise<boolean> => {
  const result = await db
    .insertInto('audit_log')
    .values(row)
    .onConflict((conflict) => conflict.column('seq').doNothing())
    .executeTakeFirst();
  return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
};

/** Newest first, below `before`. */
export const listAuditRows = (db: Database, page: { limit: number; before?: number | undefined }): Promise<AuditRow[]> => {
  const query = db.selectFrom('audit_log').selectAll().orderBy('seq', 'desc').limit(page.limit);
  return (page.before === undefined ? query : query.where('seq', '<', page.before)).execute();
};

/** Oldest first, after `after`. */
export const auditRowsAfter = (db: Database, after: number, limit: number): Promise<AuditRow[]> =>
  db.selectFrom('audit_log').selectAll().where('seq', '>', after).orderBy('seq').limit(limit).execute();
