import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as pause } from 'node:timers/promises';
import { Kysely, sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sqliteDialect } from './sqlite-dialect.ts';

interface Rows {
  things: { id: number; text: string };
}

let folder: string;
let other: DatabaseSync;
const opened: Kysely<Rows>[] = [];
const open = (busyLimitMs?: number): Kysely<Rows> => {
  const db = new Kysely<Rows>({ dialect: sqliteDialect(join(folder, 'x.sqlite'), busyLimitMs) });
  opened.push(db);
  return db;
};
const hold = () => other.exec('begin immediate');
const add = (db: Kysely<Rows>, id: number) => db.insertInto('things').values({ id, text: 'x' }).execute();
const idsIn = async (db: Kysely<Rows>) =>
  (await db.selectFrom('things').select('id').orderBy('id').execute()).map(({ id }) => id);

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lai-held-'));
  await sql`create table things (id integer primary key, text text not null)`.execute(open());
  other = new DatabaseSync(join(folder, 'x.sqlite'));
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((db) => db.destroy()));
  other.close();
  rmSync(folder, { recursive: true });
});

describe('SQLite that another program holds', () => {
  it('lets the event loop go on: what wants to write is written when the other one is done', async () => {
    const db = open();
    await idsIn(db);
    hold();
    const written = Promise.all([
      add(db, 1),
      add(db, 2),
      db.transaction().execute(async (trx) => add(trx, 3)),
      ...Array.from({ length: 50 }, (_, at) => db.transaction().execute((trx) => add(trx, 10 + at))),
    ]);
    // A loop that waits for the lock inside SQLite would get here only after the writes have failed.
    setTimeout(() => other.exec('commit'), 200);
    await written;
    expect(await idsIn(db)).toHaveLength(53);
  });

  it('lets others read meanwhile, also those that ask beside writers', async () => {
    const db = open();
    await add(db, 1);
    hold();
    const writes = [add(db, 2), db.transaction().execute((trx) => add(trx, 3)), add(db, 4)];
    expect(await idsIn(db)).toEqual([1]);
    await pause(50);
    expect(await idsIn(db)).toEqual([1]);
    other.exec('commit');
    await Promise.all(writes);
    expect(await idsIn(db)).toEqual([1, 2, 3, 4]);
  });

  it('is store_unavailable after the limit, alone, together and as a transaction, and all of them work afterwards', async () => {
    const db = open(100);
    await idsIn(db);
    hold();
    const writes = [add(db, 1), add(db, 2), db.transaction().execute((trx) => add(trx, 3))];
    for (const write of await Promise.allSettled(writes))
      expect(write).toMatchObject({ status: 'rejected', reason: { code: 'store_unavailable', retryAfterSeconds: 2 } });
    await expect(add(db, 4)).rejects.toMatchObject({ code: 'store_unavailable' });
    other.exec('commit');
    await Promise.all([add(db, 1), add(db, 2), db.transaction().execute((trx) => add(trx, 3))]);
    expect(await idsIn(db)).toEqual([1, 2, 3]);
  });

  it('tells those who wait when it is closed', async () => {
    const db = open();
    await idsIn(db);
    hold();
    const refused = expect(add(db, 1)).rejects.toMatchObject({ code: 'store_unavailable' });
    await pause(30);
    await db.destroy();
    await refused;
    other.exec('commit');
  });
});

describe('SQLite on a full disk', () => {
  it('is store_unavailable at once, alone, together and in a transaction, and works again when there is room', async () => {
    const db = open();
    const { rows } = await sql<{ page_count: number }>`pragma page_count`.execute(db);
    await sql`pragma max_page_count = ${sql.raw(String((rows[0]?.page_count ?? 0) + 1))}`.execute(db);
    const text = 'x'.repeat(100_000);
    const addLong = (on: Kysely<Rows>, id: number) => on.insertInto('things').values({ id, text }).execute();
    const writes = [addLong(db, 1), addLong(db, 2), db.transaction().execute((trx) => addLong(trx, 3))];
    for (const write of await Promise.allSettled(writes))
      expect(write).toMatchObject({
        status: 'rejected',
        reason: { code: 'store_unavailable', message: expect.stringContaining('the disk is full') },
      });
    await sql`pragma max_page_count = 100000`.execute(db);
    await Promise.all([addLong(db, 1), db.transaction().execute((trx) => addLong(trx, 3))]);
    expect(await idsIn(db)).toEqual([1, 3]);
  });
});
