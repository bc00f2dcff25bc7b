import { createHash } from 'node:crypto';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import {
  type BackupOptions,
  type BackupSummary,
  CHUNK_ROWS,
  decodeRow,
  End,
  File,
  Header,
  linesOf,
  Row,
  tableNames,
} from './archive.ts';
import { connectDatabase, databasePlace, migrate, placeName } from './database.ts';
import { MIGRATIONS } from './migrations/all.ts';
import { claimAlone } from './presence.ts';
import type { Database } from './tables.ts';

/** Parameters of one statement: 65,535 in PostgreSQL, 32,766 in SQLite. */
const MAX_PARAMETERS = 30_000;

/**
 * Puts a backup in the place of whatever the database holds: all of it or, when anything is wrong, nothing. Refuses while a coordinator
 * runs on the database, and when there is something in it that nobody asked to replace.
 */
export const restore = async (path: string, options: BackupOptions & { replace: boolean }): Promise<BackupSummary> => {
  const header = await verify(path);
  const place = databasePlace(options.location);
  const alone = await claimAlone(place);
  if (!alone) throw new Error(`A coordinator is running on ${placeName(place)}. Stop it, then restore.`);
  const db = connectDatabase(place);
  const summary = { createdAtMs: header.createdAtMs, rows: 0, files: [] as string[] };
  try {
    const present = await tableNames(db, true);
    if (!options.replace && (await holdsAnything(db, present)))
      throw new Error(`${placeName(place)} already holds a fleet. Add --replace to put the backup in its place.`);
    await db.transaction().execute(async (trx) => {
      for (const table of present) await sql`drop table ${sql.table(table)}`.execute(trx);
      await migrate(trx, header.migrations.at(-1) ?? '');
      summary.rows = await insertAll(trx, path);
      await migrate(trx);
      // The nodes have connected since: their counts are ahead of ours, and that must not look like a copied identity.
      await trx.updateTable('nodes').set({ generation: -1, is_generation_confirmed: 1 }).execute();
    });
    for await (const line of linesOf(path)) {
      const file = File.safeParse(line).data;
      if (!file || !options.keyFiles.includes(file.file)) continue;
      await writeFile(join(options.dataDir, file.file), Buffer.from(file.base64, 'base64'), { mode: 0o600, flush: true });
      summary.files.push(file.file);
    }
    return summary;
  } finally {
    await db.destroy();
    await alone.release();
  }
};

/** Reads the file once from end to end before anything is touched. */
const verify = async (path: string): Promise<Header> => {
  await (await open(path)).close();
  const hash = createHash('sha256');
  let header: Header | undefined;
  let count = 0;
  let end: End | undefined;
  try {
    for await (const line of linesOf(path, (text) => !/^\{"end":true,/.test(text) && hash.update(`${text}\n`))) {
      end = End.safeParse(line).data;
      if (end) break;
      if (count === 0) header = Header.parse(line);
      count += 1;
    }
  } catch (error) {
    throw new Error(`${path} is no backup of Lai, or it is damaged.`, { cause: error });
  }
  if (!header || !end || end.lines !== count || end.sha256 !== hash.digest('hex'))
    throw new Error(`${path} is incomplete or was changed; nothing was restored.`);
  const unknown = header.migrations.filter((name) => !Object.hasOwn(MIGRATIONS, name));
  if (unknown.length > 0) throw new Error(`${path} was written by a newer Lai (${header.version}, ${unknown[0]}).`);
  return header;
};

const insertAll = async (db: Database, path: string): Promise<number> => {
  let total = 0;
  let table = '';
  let waiting: Record<string, unknown>[] = [];
  const flush = async () => {
    const columns = Math.max(1, Object.keys(waiting[0] ?? {}).length);
    const size = Math.max(1, Math.floor(MAX_PARAMETERS / columns));
    for (let at = 0; at < waiting.length; at += size)
      await db
        .insertInto(table as 'settings')
        .values(waiting.slice(at, at + size) as never)
        .execute();
    total += waiting.length;
    waiting = [];
  };
  for await (const line of linesOf(path)) {
    const row = Row.safeParse(line).data;
    if (!row) continue;
    if (row.table !== table || waiting.length >= CHUNK_ROWS) await flush();
    table = row.table;
    waiting.push(decodeRow(row.row));
  }
  await flush();
  return total;
};

const holdsAnything = async (db: Database, tables: readonly string[]): Promise<boolean> => {
  for (const table of ['nodes', 'api_keys'] as const)
    if (tables.includes(table) && (await db.selectFrom(table).select('id').limit(1).executeTakeFirst())) return true;
  return false;
};
