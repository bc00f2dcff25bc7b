import { type Dialect, PostgresDialect } from 'kysely';
import { Pool, types } from 'pg';

const MAX_CONNECTIONS = 10;
const CONNECT_LIMIT_MS = 5_000;
const STATEMENT_LIMIT_MS = 30_000;
/** PostgreSQL's number for the type bigint. */
const BIGINT = 20;

/**
 * Kysely over PostgreSQL, for several coordinators that share one truth. Whole numbers come back as numbers: all of ours are counts and
 * epoch milliseconds, far below 2^53.
 */
export const postgresDialect = (url: string): Dialect => {
  const pool = new Pool({
    connectionString: url,
    max: MAX_CONNECTIONS,
    connectionTimeoutMillis: CONNECT_LIMIT_MS,
    statement_timeout: STATEMENT_LIMIT_MS,
    idle_in_transaction_session_timeout: STATEMENT_LIMIT_MS,
    application_name: 'lai',
    keepAlive: true,
    types: { getTypeParser: (type, format) => (type === BIGINT ? Number : types.getTypeParser(type, format)) },
  });
  // An idle connection that breaks is replaced by the next query; unheard, this event would end the process.
  pool.on('error', () => {});
  return new PostgresDialect({ pool });
};
