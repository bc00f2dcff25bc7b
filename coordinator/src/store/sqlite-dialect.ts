import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { setTimeout as pause } from 'node:timers/promises';
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type TransactionSettings,
} from 'kysely';

/**
 * Kysely over Node's own SQLite: no native module to build or to trust. One connection to the file; calls are synchronous underneath,
 * which for rows this small costs less than a thread hop.
 */
export const sqliteDialect = (path: string): Dialect => ({
  createAdapter: () =>
    Object.defineProperties(new SqliteAdapter(), {
      // SQLite rolls tables back like rows. Kysely's own adapter says no, and a migration that failed would stay half done.
      supportsTransactionalDdl: { value: true },
      // What Kysely takes for connections share the one, see SqliteFile.
      supportsMultipleConnections: { value: true },
    }),
  createDriver: () => new SqliteDriver(path),
  createIntrospector: (db: Kysely<unknown>) => new SqliteIntrospector(db),
  createQueryCompiler: () => new SqliteQueryCompiler(),
});

/** How long another process may hold the file. */
const BUSY_LIMIT_MS = 5_000;
const SQLITE_BUSY = 5;
/** What is kept prepared. Longer ones are of many rows, and seldom of as many twice. */
const MOST_STATEMENTS = 100;
const LONGEST_STATEMENT = 2_000;

class SqliteDriver implements Driver {
  readonly #path: string;
  #file: SqliteFile | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Throws what SQLite throws. */
  async init(): Promise<void> {
    for (const deadlineMs = performance.now() + BUSY_LIMIT_MS; ; await pause(5)) {
      try {
        this.#file = new SqliteFile(this.#path);
        return;
      } catch (error) {
        if (!isBusy(error) || performance.now() > deadlineMs) throw error;
      }
    }
  }

  async acquireConnection(): Promise<SqliteConnection> {
    if (!this.#file) throw new Error('the database is closed');
    return new SqliteConnection(this.#file);
  }

  /** Writers queue at the door; who only reads sees one moment and holds nobody up. */
  beginTransaction(connection: DatabaseConnection, settings: TransactionSettings): Promise<void> {
    return asOurs(connection).begin(settings.accessMode === 'read only' ? 'begin' : 'begin immediate');
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('commit'));
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('rollback'));
  }

  async releaseConnection(connection: DatabaseConnection): Promise<void> {
    asOurs(connection).release();
  }

  async destroy(): Promise<void> {
    this.#file?.close();
    this.#file = undefined;
  }
}

const asOurs = (connection: DatabaseConnection): SqliteConnection => connection as SqliteConnection;

/** One query, or one transaction, which has the file for itself. */
class SqliteConnection implements DatabaseConnection {
  readonly #file: SqliteFile;
  #hasFile = false;

  constructor(file: SqliteFile) {
    this.#file = file;
  }

  async begin(statement: string): Promise<void> {
    await this.#claim();
    this.#file.run(CompiledQuery.raw(statement));
  }

  release(): void {
    if (this.#hasFile) this.#file.release();
    this.#hasFile = false;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    return (this.#hasFile ? this.#file.run(query) : await this.#file.ask(query)) as QueryResult<R>;
  }

  async *streamQuery<R>(query: CompiledQuery, chunkSize: number): AsyncIterableIterator<QueryResult<R>> {
    if (!this.#hasFile) await this.#claim();
    let rows: R[] = [];
    for (const row of this.#file.iterate(query)) {
      rows.push(row as R);
      if (rows.length < chunkSize) continue;
      yield { rows };
      rows = [];
    }
    if (rows.length > 0) yield { rows };
  }

  async #claim(): Promise<void> {
    await this.#file.claim();
    this.#hasFile = true;
  }
}

interface Asked {
  readonly query: CompiledQuery;
  readonly resolve: (result: QueryResult<unknown>) => void;
  readonly reject: (error: unknown) => void;
}

interface Outcome {
  readonly result?: QueryResult<unknown>;
  readonly error?: unknown;
}

const tell = ({ resolve, reject }: Asked, { result, error }: Outcome): void => (result ? resolve(result) : reject(error));

/**
 * The connection to the file. Queries that come in one turn of the event loop are executed together, in their order: those that change
 * something then wait for the disk once, where a thousand machines that come back at one moment waited a thousand times. Each still
 * succeeds or fails for itself, and nobody is told before it is on the disk.
 */
class SqliteFile {
  readonly #database: DatabaseSync;
  /** By text, longest unused first. */
  readonly #statements = new Map<string, StatementSync>();
  readonly #asked: Asked[] = [];
  /** Those who want the file for themselves, after who has it. */
  readonly #claims: (() => void)[] = [];
  #isClaimed = false;
  #isDue = false;

  constructor(path: string) {
    this.#database = new DatabaseSync(path);
    try {
      this.#database.exec(
        `pragma busy_timeout = ${BUSY_LIMIT_MS}; pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on;`,
      );
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  /** With others, when nobody has the file for himself. */
  ask(query: CompiledQuery): Promise<QueryResult<unknown>> {
    const { promise, resolve, reject } = Promise.withResolvers<QueryResult<unknown>>();
    this.#asked.push({ query, resolve, reject });
    if (!this.#isDue)
      setImmediate(() => {
        this.#isDue = false;
        if (!this.#isClaimed) this.#answer();
      });
    this.#isDue = true;
    return promise;
  }

  /** Resolves when the file is the caller's alone, until he releases it. */
  async claim(): Promise<void> {
    if (this.#isClaimed) return new Promise((resolve) => void this.#claims.push(resolve));
    this.#answer();
    this.#isClaimed = true;
  }

  release(): void {
    this.#answer();
    const next = this.#claims.shift();
    this.#isClaimed = next !== undefined;
    next?.();
  }

  /** At once. Throws what SQLite throws. */
  run({ sql, parameters }: CompiledQuery): QueryResult<unknown> {
    const statement = this.#prepare(sql);
    const values = parameters.map(toSql);
    if (statement.columns().length > 0) return { rows: statement.all(...values) };
    const { changes, lastInsertRowid } = statement.run(...values);
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) };
  }

  iterate({ sql, parameters }: CompiledQuery): Iterable<unknown> {
    return this.#database.prepare(sql).iterate(...parameters.map(toSql));
  }

  close(): void {
    this.#answer();
    this.#database.close();
  }

  #answer(): void {
    const asked = this.#asked.splice(0);
    while (asked.length > 0) {
      const alone = asked.findIndex(({ query }) => !JOINABLE.has(query.query.kind));
      const joined = asked.splice(0, alone === -1 ? asked.length : Math.max(alone, 1));
      const changes = joined.filter(({ query }) => query.query.kind !== 'SelectQueryNode');
      if (changes.length > 1) this.#answerTogether(joined);
      else for (const one of joined) tell(one, this.#try(one));
    }
  }

  #answerTogether(joined: readonly Asked[]): void {
    try {
      this.run(CompiledQuery.raw('begin immediate'));
      const outcomes = joined.map((one) => this.#try(one));
      // A statement that fails takes nobody with it, but for some reasons (the disk is full), for which SQLite rolls back everything.
      if (!this.#database.isTransaction) throw outcomes.find(({ error }) => error)?.error;
      this.run(CompiledQuery.raw('commit'));
      for (const [place, one] of joined.entries()) tell(one, outcomes[place] ?? {});
    } catch (error) {
      if (this.#database.isTransaction) this.run(CompiledQuery.raw('rollback'));
      for (const one of joined) tell(one, { error });
    }
  }

  #try({ query }: Asked): Outcome {
    try {
      return { result: this.run(query) };
    } catch (error) {
      return { error };
    }
  }

  #prepare(sql: string): StatementSync {
    if (sql.length > LONGEST_STATEMENT) return this.#database.prepare(sql);
    const statement = this.#statements.get(sql) ?? this.#database.prepare(sql);
    this.#statements.delete(sql);
    this.#statements.set(sql, statement);
    const [oldest] = this.#statements.keys();
    if (oldest !== undefined && this.#statements.size > MOST_STATEMENTS) this.#statements.delete(oldest);
    return statement;
  }
}

/** All others are executed by themselves: some (`vacuum`, `begin`) cannot be part of a transaction. */
const JOINABLE: ReadonlySet<string> = new Set(['SelectQueryNode', 'InsertQueryNode', 'UpdateQueryNode', 'DeleteQueryNode']);

/** SQLite itself waits for others' locks, but not when several make the same new file a WAL database (14 of 1,600 such opens failed). */
const isBusy = (error: unknown): boolean => error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY;

const toSql = (value: unknown): SQLInputValue => (typeof value === 'boolean' ? Number(value) : (value as SQLInputValue));
