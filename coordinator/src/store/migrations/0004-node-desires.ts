import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const nodeDesires: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema.alterTable('nodes').addColumn('desired', 'text').execute();
  },
};
