import { type AuditRow, auditRowsAfter, insertAuditRow, lastAuditRow } from '../store/audit-log.ts';
import type { Database } from '../store/database.ts';
import { sha256 } from './secret.ts';

/** Other replicas may write at the same moment; each of them gets the next number within this many tries. */
const MAX_TRIES = 50;
const PAGE = 500;
const NO_HASH = '';

/** Who did it and from where. */
export interface Actor {
  readonly name: string;
  readonly origin: string;
}

export interface AuditEvent {
  readonly atMs: number;
  readonly actor: Actor;
  /** `noun.verb`, for example `key.revoke`. */
  readonly action: string;
  readonly object: string;
  /** What is worth knowing later; never a secret. */
  readonly detail?: Record<string, unknown>;
}

/**
 * Writes one entry behind the last one. Each entry's hash covers the hash before it, so that nothing can be changed, taken out or put
 * in between without every later hash telling. Call it in the transaction of the change itself: both happen or neither.
 */
export const appendAudit = async (db: Database, event: AuditEvent): Promise<AuditRow> => {
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const last = await lastAuditRow(db);
    const entry = {
      seq: (last?.seq ?? 0) + 1,
      at_ms: event.atMs,
      actor: event.actor.name,
      action: event.action,
      object: event.object,
      detail: JSON.stringify(event.detail ?? {}),
      origin: event.actor.origin,
      previous_hash: last?.hash ?? NO_HASH,
    };
    const row = { ...entry, hash: hashOf(entry) };
    if (await insertAuditRow(db, row)) return row;
  }
  throw new Error('the audit log is too busy');
};

export interface Verdict {
  readonly isIntact: boolean;
  readonly entries: number;
  readonly head: string;
  readonly problem: string | null;
}

/**
 * Reads the log from end to end. What the chain cannot show is that its end was cut off: whoever kept an earlier head (`expected`, from
 * a log or from paper) can.
 */
export const verifyAudit = async (db: Database, expected?: string): Promise<Verdict> => {
  let previous: AuditRow | undefined;
  let isExpectedSeen = expected === undefined;
  const verdict = (problem: string | null): Verdict => ({
    isIntact: problem === null,
    entries: previous?.seq ?? 0,
    head: previous?.hash ?? NO_HASH,
    problem,
  });
  for (;;) {
    const rows = await auditRowsAfter(db, previous?.seq ?? 0, PAGE);
    for (const row of rows) {
      if (row.seq !== (previous?.seq ?? 0) + 1) return verdict(`entry ${(previous?.seq ?? 0) + 1} is missing`);
      const { hash, ...entry } = row;
      if (row.previous_hash !== (previous?.hash ?? NO_HASH) || hashOf(entry) !== hash)
        return verdict(`entry ${row.seq} was changed, or the one before it`);
      isExpectedSeen ||= hash === expected;
      previous = row;
    }
    if (rows.length < PAGE) break;
  }
  return verdict(isExpectedSeen ? null : 'the entry with the expected hash is not there: the log was cut or replaced');
};

/** A list, not an object: the order of columns is ours, not the database's. */
const hashOf = (entry: Omit<AuditRow, 'hash'>): string =>
  sha256(
    JSON.stringify([
      'lai-audit-v1',
      entry.seq,
      entry.at_ms,
      entry.actor,
      entry.action,
      entry.object,
      entry.detail,
      entry.origin,
      entry.previous_hash,
    ]),
  );
