import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { sql } from 'kysely';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Database, openDatabase } from '../store/database.ts';
import { appendAudit, verifyAudit } from './audit.ts';

const withEntries = async (count: number): Promise<Database> => {
  const folder = mkdtempSync(path.join(tmpdir(), 'lai-audit-'));
  const db = await openDatabase(path.join(folder, 'lai.db'));
  onTestFinished(async () => {
    await db.destroy();
    rmSync(folder, { recursive: true });
  });
  for (let at = 1; at <= count; at += 1)
    await appendAudit(db, {
      atMs: at,
      actor: { name: 'anna', origin: '::1' },
      action: 'key.revoke',
      object: `key_${at}`,
      detail: { at },
    });
  return db;
};

describe('the audit log', () => {
  // More than are read at a time, and each is on disk before the next.
  it('is intact as it was written, empty or long', { timeout: 120_000 }, async () => {
    expect(await verifyAudit(await withEntries(0))).toEqual({ isIntact: true, entries: 0, head: '', problem: null });
    expect(await verifyAudit(await withEntries(1_100))).toMatchObject({ isIntact: true, entries: 1_100 });
  });

  it('numbers what is written at the same moment without gaps', async () => {
    const db = await withEntries(0);
    await Promise.all(
      Array.from({ length: 20 }, (_, at) =>
        appendAudit(db, { atMs: at, actor: { name: 'a', origin: 'o' }, action: 'x.y', object: String(at) }),
      ),
    );
    expect(await verifyAudit(db)).toMatchObject({ isIntact: true, entries: 20 });
  });

  it.each([
    ['a changed actor', sql`update audit_log set actor = 'nobody' where seq = 3`],
    ['a changed time', sql`update audit_log set at_ms = 9 where seq = 3`],
    ['a changed detail', sql`update audit_log set detail = '{}' where seq = 3`],
    ['an entry taken out', sql`delete from audit_log where seq = 3`],
    ['the first entry taken out', sql`delete from audit_log where seq = 1`],
    ['two entries exchanged', sql`update audit_log set seq = case seq when 3 then 104 when 4 then 103 else seq end`],
    ['a hash made to fit', sql`update audit_log set detail = '{}', hash = 'made up' where seq = 3`],
  ])('tells of %s', async (_, tampering) => {
    const db = await withEntries(5);
    await tampering.execute(db);
    expect(await verifyAudit(db)).toMatchObject({ isIntact: false });
  });

  it('tells of a cut end to whoever has noted an earlier head', async () => {
    const db = await withEntries(5);
    const { head } = await verifyAudit(db);
    await appendAudit(db, { atMs: 6, actor: { name: 'a', origin: 'o' }, action: 'x.y', object: 'z' });
    expect(await verifyAudit(db, head)).toMatchObject({ isIntact: true });
    await sql`delete from audit_log where seq >= 5`.execute(db);
    expect(await verifyAudit(db)).toMatchObject({ isIntact: true, entries: 4 });
    expect(await verifyAudit(db, head)).toMatchObject({ isIntact: false });
  });
});
