import { type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';

/** Who may join and who may ask: limits of tokens, states of nodes, limits and rotation of keys, the audit log. */
export const trust: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    for (const [column, type] of [
      ['models', 'text'],
      ['last_used_at_ms', 'bigint'],
      ['previous_hash', 'text'],
      ['previous_until_ms', 'bigint'],
    ] as const)
      await db.schema.alterTable('api_keys').addColumn(column, type).execute();
    await db.schema
      .alterTable('api_keys')
      .addColumn('is_enabled', 'integer', (column) => column.notNull().defaultTo(1))
      .execute();
    await db.schema.createIndex('api_keys_previous_hash').on('api_keys').column('previous_hash').execute();

    for (const [column, fallback] of [
      ['label', ''],
      ['created_by', ''],
      ['node_group', 'default'],
    ] as const)
      await db.schema
        .alterTable('registration_tokens')
        .addColumn(column, 'text', (definition) => definition.notNull().defaultTo(fallback))
        .execute();
    for (const [column, fallback] of [
      ['max_uses', 1],
      ['needs_approval', 0],
      ['refused_uses', 0],
    ] as const)
      await db.schema
        .alterTable('registration_tokens')
        .addColumn(column, 'integer', (definition) => definition.notNull().defaultTo(fallback))
        .execute();
    await db.schema.alterTable('registration_tokens').addColumn('revoked_at_ms', 'bigint').execute();

    for (const [column, fallback] of [
      ['state', 'approved'],
      ['node_group', 'default'],
    ] as const)
      await db.schema
        .alterTable('nodes')
        .addColumn(column, 'text', (definition) => definition.notNull().defaultTo(fallback))
        .execute();
    await db.schema
      .alterTable('nodes')
      .addColumn('is_generation_confirmed', 'integer', (definition) => definition.notNull().defaultTo(1))
      .execute();
    for (const [column, type] of [
      ['token_id', 'text'],
      ['state_reason', 'text'],
      ['last_connected_at_ms', 'bigint'],
      ['last_address', 'text'],
      ['last_transport', 'text'],
    ] as const)
      await db.schema.alterTable('nodes').addColumn(column, type).execute();
    await sql`update nodes set state = 'revoked' where revoked_at_ms is not null`.execute(db);

    await db.schema
      .createTable('audit_log')
      .addColumn('seq', 'integer', (column) => column.primaryKey())
      .addColumn('at_ms', 'bigint', (column) => column.notNull())
      .addColumn('actor', 'text', (column) => column.notNull())
      .addColumn('action', 'text', (column) => column.notNull())
      .addColumn('object', 'text', (column) => column.notNull())
      .addColumn('detail', 'text', (column) => column.notNull())
      .addColumn('origin', 'text', (column) => column.notNull())
      .addColumn('previous_hash', 'text', (column) => column.notNull())
      .addColumn('hash', 'text', (column) => column.notNull())
      .execute();
  },
};
