import type { Migration } from 'kysely/migration';
import { firstTables } from './0001-first-tables.ts';
import { trust } from './0002-trust.ts';
import { explanations } from './0003-explanations.ts';
import { nodeDesires } from './0004-node-desires.ts';
import { users } from './0005-users.ts';

/** Forward only, in this order, each once. A shipped migration is never edited. */
export const MIGRATIONS: Record<string, Migration> = {
  '0001-first-tables': firstTables,
  '0002-trust': trust,
  '0003-explanations': explanations,
  '0004-node-desires': nodeDesires,
  '0005-users': users,
};
