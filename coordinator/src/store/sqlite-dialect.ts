import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { setTimeout as pause } from 'node:timers/promises';
import { CodedError } from '@lai/shared/errors';
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
 * which for rows this small costs less than a thread hop. While another program holds the file, the event loop goes on: what wants to
 * write tries again, and after `busyLimitMs` it fails with `store_unavailable`, as it does at once on a full or failing disk.
 */
export const sqliteDialect = (path: string, busyLimitMs = BUSY_LIMIT_MS): Dialect => ({
  createAdapter: () =>
    Object.defineProperties(new SqliteAdapter(), {
      // SQLite rolls tables back like rows. Kysely's own adapter says no, and a migration that failed would stay half done.
      supportsTransactionalDdl: { value: true },
      // What Kysely takes for connections share the one, see SqliteFile.
      supportsMultipleConnections: { value: true },
    }),
  createDriver: () => new SqliteDriver(path, busyLimitMs),
  createIntrospector: (db: Kysely<unknown>) => new SqliteIntrospector(db),
  createQueryCompiler: () => new SqliteQueryCompiler(),
});

/** How long another process may hold the file. */
const BUSY_LIMIT_MS = 5_000;
const TRY_AGAIN_MS = 20;
/** What is kept prepared. Longer ones are of many rows, and seldom of as many twice. */
const MOST_STATEMENTS = 100;
const LONGEST_STATEMENT = 2_000;

class SqliteDriver implements Driver {
  readonly #path: string;
  readonly #busyLimitMs: number;
  #file: SqliteFile | undefined;

  constructor(path: string, busyLimitMs: number) {
    this.#path = path;
    this.#busyLimitMs = busyLimitMs;
  }

  /** Throws what SQLite throws. */
  async init(): Promise<void> {
    for (const deadlineMs = performance.now() + this.#busyLimitMs; ; await pause(5)) {
      try {
        this.#file = new SqliteFile(this.#path, this.#busyLimitMs);
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
    asOurs(connection).rollback();
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
    for (const deadlineMs = performance.now() + this.#file.busyLimitMs; ; await pause(TRY_AGAIN_MS)) {
      await this.#claim();
      try {
        this.#file.run(CompiledQuery.raw(statement));
        return;
      } catch (error) {
        // So that others may read meanwhile.
        this.release();
        if (!isBusy(error) || performance.now() > deadlineMs) throw asTold(error);
      }
    }
  }

  /** For some reasons (the disk is full) SQLite has done it already. */
  rollback(): void {
    if (this.#file.isInTransaction) this.#file.run(CompiledQuery.raw('rollback'));
  }

  release(): void {
    if (this.#hasFile) this.#file.release();
    this.#hasFile = false;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    if (!this.#hasFile) return (await this.#file.ask(query)) as QueryResult<R>;
    try {
      return this.#file.run(query) as QueryResult<R>;
    } catch (error) {
      throw asTold(error);
    }
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
  /** Until when it is tried again while another program holds the file. */
  readonly deadlineMs: number;
  readonly resolve: (result: QueryResult<unknown>) => void;
  readonly reject: (error: unknown) => void;
}

interface Outcome {
  readonly result?: QueryResult<unknown>;
  readonly error?: unknown;
}

const tell = ({ resolve, reject }: Asked, { result, error }: Outcome): void => (result ? resolve(result) : reject(asTold(error)));

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
  /** Those whom another program keeps from the file, and when they try again. */
  readonly #kept: Asked[] = [];
  #again: NodeJS.Timeout | undefined;
  readonly busyLimitMs: number;

  constructor(path: string, busyLimitMs: number) {
    this.busyLimitMs = busyLimitMs;
    this.#database = new DatabaseSync(path);
    try {
      this.#database.exec(
        'pragma busy_timeout = 0; pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on;',
      );
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  /** With others, when nobody has the file for himself. */
  ask(query: CompiledQuery): Promise<QueryResult<unknown>> {
    const { promise, resolve, reject } = Promise.withResolvers<QueryResult<unknown>>();
    this.#asked.push({ query, deadlineMs: performance.now() + this.busyLimitMs, resolve, reject });
    this.#answerSoon();
    return promise;
  }

  #answerSoon(): void {
    if (!this.#isDue)
      setImmediate(() => {
        this.#isDue = false;
        if (!this.#isClaimed) this.#answer();
      });
    this.#isDue = true;
  }

  get isInTransaction(): boolean {
    return this.#database.isTransaction;
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
    clearTimeout(this.#again);
    for (const { reject } of this.#kept.splice(0)) reject(new CodedError('store_unavailable', { message: HELD }));
    this.#database.close();
  }

  #answer(): void {
    const asked = this.#asked.splice(0);
    while (asked.length > 0) {
      const alone = asked.findIndex(({ query }) => !JOINABLE.has(query.query.kind));
      const joined = asked.splice(0, alone === -1 ? asked.length : Math.max(alone, 1));
      const changes = joined.filter(({ query }) => query.query.kind !== 'SelectQueryNode');
      if (changes.length > 1) this.#answerTogether(joined);
      else for (const one of joined) this.#tellOrKeep(one, this.#try(one));
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
      // Who only reads needs no lock.
      for (const one of joined)
        this.#tellOrKeep(one, isBusy(error) && one.query.query.kind === 'SelectQueryNode' ? this.#try(one) : { error });
    }
  }

  #tellOrKeep(one: Asked, outcome: Outcome): void {
    if (!isBusy(outcome.error) || performance.now() > one.deadlineMs) {
      tell(one, outcome);
      return;
    }
    this.#kept.push(one);
    this.#again ??= setTimeout(() => {
      this.#again = undefined;
      this.#asked.push(...this.#kept.splice(0));
      this.#answerSoon();
    }, TRY_AGAIN_MS);
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

/** Another program has the lock. SQLite would wait for it, and the whole process with it. */
const isBusy = (error: unknown): boolean => primaryCode(error) === SQLITE_BUSY;

/** Extended codes have the primary one in their lowest byte. */
const primaryCode = (error: unknown): number | null =>
  error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode & 0xff : null;

const SQLITE_BUSY = 5;
const HELD = 'Another program holds the database of the coordinator. Nothing was changed. Try again shortly.';
const unwritable = (why: string): string =>
  `The database of the coordinator cannot be written: ${why}. Nothing was changed. Look at the disk of its data directory.`;
/** Faults of the place where the file lies, by SQLite's primary code. All others are ours. */
const PLACE_FAULTS: Readonly<Record<number, string>> = {
  [SQLITE_BUSY]: HELD,
  8: unwritable('it is read-only'),
  10: unwritable('the disk reports an error'),
  13: unwritable('the disk is full'),
};

/** What callers get to see. */
const asTold = (cause: unknown): unknown => {
  const message = PLACE_FAULTS[primaryCode(cause) ?? -1];
  return message === undefined ? cause : new CodedError('store_unavailable', { message, retryAfterSeconds: 2, cause });
};

const toSql = (value: unknown): SQLInputValue => (typeof value === 'boolean' ? Number(value) : (value as SQLInputValue));
