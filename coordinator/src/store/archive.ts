import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';
import { z } from 'zod';
import type { Database } from './tables.ts';

/**
 * A backup: one gzipped file of JSON lines, the same for both databases, so that it is also the way from one to the other.
 *
 *   {"lai":"backup",…}  {"table":…,"row":{…}} …  {"file":…,"base64":…} …  {"end":true,"lines":…,"sha256":…}
 *
 * Rows are those of one moment. Which tables there are is asked of the database, so a new table needs nothing here; it must not refer
 * to other tables by foreign key, because rows come back table by table in the order of their names.
 */
export const Header = z.object({
  lai: z.literal('backup'),
  format: z.literal(1),
  version: z.string(),
  createdAtMs: z.number().int(),
  migrations: z.array(z.string()).min(1),
});
export type Header = z.infer<typeof Header>;
export const Row = z.object({ table: z.string().regex(/^[a-z_]{1,64}$/), row: z.record(z.string(), z.unknown()) });
export const File = z.object({ file: z.string().regex(/^[a-z0-9.-]{1,64}$/), base64: z.string() });
export const End = z.object({ end: z.literal(true), lines: z.number().int(), sha256: z.string() });
export type End = z.infer<typeof End>;

/** Rows held in memory at a time. */
export const CHUNK_ROWS = 500;

export interface BackupSummary {
  readonly createdAtMs: number;
  readonly rows: number;
  readonly files: readonly string[];
}

export interface BackupOptions {
  /** As in openDatabase. */
  readonly location: string;
  /** Where key material lies beside the database, and which files of it belong into a backup when they exist. */
  readonly dataDir: string;
  readonly keyFiles: readonly string[];
}

/** What the lines say, one after the other; `onText` sees them as they are written. Throws for what is no archive. */
export const linesOf = async function* (path: string, onText: (text: string) => unknown = () => {}): AsyncGenerator<unknown> {
  const file = createReadStream(path);
  const text = file.pipe(createGunzip());
  file.on('error', (error) => text.destroy(error));
  try {
    for await (const line of createInterface({ input: text, crlfDelay: Number.POSITIVE_INFINITY })) {
      onText(line);
      yield JSON.parse(line);
    }
    if (text.errored) throw text.errored;
  } finally {
    file.destroy();
  }
};

export const tableNames = async (db: Database, withMigrations = false): Promise<string[]> =>
  (await db.introspection.getTables({ withInternalKyselyTables: withMigrations }))
    .filter((table) => !table.isView && !table.name.startsWith('sqlite_'))
    .map((table) => table.name)
    .sort();

/** JSON has no bytes; rows may. */
export const encodeRow = (row: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      value instanceof Uint8Array ? { bytes: Buffer.from(value).toString('base64') } : value,
    ]),
  );

export const decodeRow = (row: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      typeof value === 'object' && value !== null && 'bytes' in value ? Buffer.from(String(value.bytes), 'base64') : value,
    ]),
  );
