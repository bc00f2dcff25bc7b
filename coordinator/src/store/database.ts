import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Kysely, sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import { MIGRATIONS } from './migrations/all.ts';
import { postgresDialect } from './postgres-dialect.ts';
import { sqliteDialect } from './sqlite-dialect.ts';
import type { Database, Tables } from './tables.ts';

export type { Database, Tables } from './tables.ts';

/** A file of SQLite, or a PostgreSQL that several coordinators may share. */
export type DatabasePlace =
  | { readonly kind: 'sqlite'; readonly file: string }
  | { readonly kind: 'postgres'; readonly url: string };

/** `postgres://…`, `postgresql://…`, `sqlite:<file>`, `file://…` or the path of a file. */
export const databasePlace = (location: string): DatabasePlace => {
  if (/^postgres(ql)?:\/\//.test(location)) return { kind: 'postgres', url: location };
  if (location.startsWith('file://')) return { kind: 'sqlite', file: fileURLToPath(location) };
  if (/^[a-z0-9+]{2,}:\/\//i.test(location) && !location.startsWith('sqlite:'))
    throw new Error(`Lai keeps its truth in SQLite or PostgreSQL; it does not know ${location.split(':')[0]}://.`);
  return { kind: 'sqlite', file: location.replace(/^sqlite:(\/\/)?/, '') };
};

/** How the place may be called in messages and logs: never with a password. */
export const placeName = (place: DatabasePlace): string => {
  if (place.kind === 'sqlite') return place.file;
  const { hostname, port, pathname } = new URL(place.url);
  return `PostgreSQL at ${hostname || 'localhost'}${port ? `:${port}` : ''}${pathname}`;
};

/** Opens the database without looking at what is in it. */
export const connectDatabase = (place: DatabasePlace): Database => {
  if (place.kind === 'postgres') return new Kysely<Tables>({ dialect: postgresDialect(place.url) });
  mkdirSync(dirname(place.file), { recursive: true, mode: 0o700 });
  closeToOthers(place.file);
  return new Kysely<Tables>({ dialect: sqliteDialect(place.file) });
};

/** The coordinator's private key and everybody's hashes are in there, and an older Lai left the files as open as its directory was. */
const closeToOthers = (file: string): void => {
  for (const each of [file, `${file}-wal`, `${file}-shm`]) if (existsSync(each)) chmodSync(each, 0o600);
};

/**
 * Opens the database and brings it up to date, one coordinator at a time (an advisory lock in PostgreSQL, the write lock in SQLite). An
 * error names the migration that failed, and nothing of it has happened.
 */
export const openDatabase = async (location: string): Promise<Database> => {
  const place = databasePlace(location);
  const database = connectDatabase(place);
  try {
    await migrate(database);
    return database;
  } catch (error) {
    await database.destroy();
    const reason = error instanceof MigrationFailed ? ` (${error.message})` : `: ${String(error)}`;
    throw new Error(`The database ${placeName(place)} could not be brought up to date${reason}.`, { cause: error });
  }
};

class MigrationFailed extends Error {}

/** To the newest state, or to that of the migration named. */
export const migrate = async (database: Database, target?: string): Promise<void> => {
  const migrator = new Migrator({ db: database, provider: { getMigrations: async () => MIGRATIONS } });
  const { error, results } = target ? await migrator.migrateTo(target) : await migrator.migrateToLatest();
  if (!error) return;
  if (/previously executed migration .* is missing/.test(String(error)))
    throw new MigrationFailed('a newer Lai has written it; use that one, or restore a backup', { cause: error });
  const failed = results?.find((result) => result.status === 'Error')?.migrationName;
  if (!failed) throw error;
  throw new MigrationFailed(`migration ${failed}`, { cause: error });
};

/** Names of the migrations that have been executed, in order. */
export const executedMigrations = async (database: Database): Promise<string[]> => {
  const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(database);
  return rows.map(({ name }) => name);
};
