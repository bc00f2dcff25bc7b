import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Generated, Kysely } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import { firstTables } from './migrations/0001-first-tables.ts';
import { sqliteDialect } from './sqlite-dialect.ts';

/** Lasting truth: what must survive Redis. Times are epoch milliseconds, booleans 0 or 1, lists JSON text. */
export interface Tables {
  settings: { name: string; value: string };
  api_keys: {
    id: string;
    name: string;
    hash: string;
    prefix: string;
    scopes: string;
    created_at_ms: number;
    expires_at_ms: number | null;
    revoked_at_ms: number | null;
  };
  registration_tokens: {
    id: string;
    hash: string;
    created_at_ms: number;
    expires_at_ms: number;
    uses_left: number;
  };
  nodes: {
    id: string;
    name: string;
    public_key: string;
    generation: Generated<number>;
    created_at_ms: number;
    revoked_at_ms: number | null;
  };
}

export type Database = Kysely<Tables>;

/** Forward only, in this order, each once. A shipped migration is never edited. */
const MIGRATIONS: Record<string, Migration> = { '0001-first-tables': firstTables };

/** Opens the database and brings it up to date; an error names the migration that failed, and nothing of it has happened. */
export const openDatabase = async (path: string): Promise<Database> => {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const database: Database = new Kysely<Tables>({ dialect: sqliteDialect(path) });
  const { error, results } = await new Migrator({
    db: database,
    provider: { getMigrations: async () => MIGRATIONS },
  }).migrateToLatest();
  if (error) {
    await database.destroy();
    const failed = results?.find((result) => result.status === 'Error')?.migrationName ?? 'unknown';
    throw new Error(`The database ${path} could not be brought up to date (migration ${failed}).`, { cause: error });
  }
  return database;
};
