import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const explanations: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('explanations')
      .addColumn('request_id', 'text', (column) => column.primaryKey())
      .addColumn('at_ms', 'bigint', (column) => column.notNull())
      .addColumn('explanation', 'text', (column) => column.notNull())
      .execute();
    await db.schema.createIndex('explanations_at').on('explanations').column('at_ms').execute();
  },
};
