import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const users: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('users')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('name', 'text', (column) => column.notNull().unique())
      .addColumn('password_hash', 'text', (column) => column.notNull())
      .addColumn('role', 'text', (column) => column.notNull())
      .addColumn('is_enabled', 'integer', (column) => column.notNull().defaultTo(1))
      .addColumn('created_at_ms', 'bigint', (column) => column.notNull())
      .addColumn('last_sign_in_at_ms', 'bigint')
      .execute();
  },
};
