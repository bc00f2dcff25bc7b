import { createHash } from 'node:crypto';
import { createWriteStream, existsSync } from 'node:fs';
import { readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { sql } from 'kysely';
import { type BackupOptions, type BackupSummary, CHUNK_ROWS, encodeRow, tableNames } from './archive.ts';
import { connectDatabase, type DatabasePlace, databasePlace, executedMigrations } from './database.ts';
import type { Database } from './tables.ts';

/** Writes the whole of lasting truth into one file that only its owner may read. The coordinator may run meanwhile. */
export const backUp = async (
  path: string,
  options: BackupOptions & { version: string; nowMs: number },
): Promise<BackupSummary> => {
  const place = databasePlace(options.location);
  if (place.kind === 'sqlite' && !existsSync(place.file)) throw new Error(`There is no database at ${place.file}.`);
  const db = connectDatabase(place);
  const summary = { createdAtMs: options.nowMs, rows: 0, files: [] as string[] };
  const hash = createHash('sha256');
  const lines = async function* (trx: Database) {
    let count = 0;
    const line = (value: unknown): string => {
      const text = `${JSON.stringify(value)}\n`;
      hash.update(text);
      count += 1;
      return text;
    };
    const migrations = await executedMigrations(trx);
    yield line({ lai: 'backup', format: 1, version: options.version, createdAtMs: options.nowMs, migrations });
    for (const table of await tableNames(trx)) {
      for await (const rows of rowsOf(trx, place, table)) {
        summary.rows += rows.length;
        yield rows.map((row) => line({ table, row: encodeRow(row) })).join('');
      }
    }
    for (const file of options.keyFiles.filter((name) => existsSync(join(options.dataDir, name)))) {
      summary.files.push(file);
      yield line({ file, base64: (await readFile(join(options.dataDir, file))).toString('base64') });
    }
    yield `${JSON.stringify({ end: true, lines: count, sha256: hash.digest('hex') })}\n`;
  };
  const draft = `${path}.draft`;
  try {
    await db
      .transaction()
      .setIsolationLevel('repeatable read')
      .setAccessMode('read only')
      .execute((trx) =>
        pipeline(Readable.from(lines(trx)), createGzip(), createWriteStream(draft, { mode: 0o600, flush: true })),
      );
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  } finally {
    await db.destroy();
  }
  return summary;
};

/** PostgreSQL sends a whole result at once unless a cursor asks for it in pieces. */
const rowsOf = async function* (db: Database, place: DatabasePlace, table: string): AsyncGenerator<Record<string, unknown>[]> {
  if (place.kind === 'sqlite') {
    const query = db.selectFrom(table as 'settings').selectAll();
    const rows: Record<string, unknown>[] = [];
    for await (const row of query.stream(CHUNK_ROWS)) if (rows.push(row) >= CHUNK_ROWS) yield rows.splice(0);
    if (rows.length > 0) yield rows;
    return;
  }
  await sql`declare backup_rows no scroll cursor for select * from ${sql.table(table)}`.execute(db);
  const next = sql<Record<string, unknown>>`fetch ${sql.lit(CHUNK_ROWS)} from backup_rows`;
  for (;;) {
    const { rows } = await next.execute(db);
    if (rows.length === 0) break;
    yield rows;
  }
  await sql`close backup_rows`.execute(db);
};
