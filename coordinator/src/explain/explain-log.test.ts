import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Kysely } from 'kysely';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DispatchedRequest } from '../dispatch/dispatcher.ts';
import { type Database, openDatabase } from '../store/database.ts';
import { findExplanation } from '../store/explanations.ts';
import { sqliteDialect } from '../store/sqlite-dialect.ts';
import { ExplainLog } from './explain-log.ts';

const log = pino({ level: 'silent' });
let folder: string;
let db: Database;
let explainLog: ExplainLog;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lai-explain-'));
  db = await openDatabase(join(folder, 'lai.sqlite'));
  explainLog = new ExplainLog({ db, log });
});
afterEach(async () => {
  await explainLog.close();
  await db.destroy();
  rmSync(folder, { recursive: true });
});

const ended = (requestId: string): DispatchedRequest => ({
  request: {
    requestId,
    keyId: 'key_1',
    route: 'chat.completions',
    target: { model: 'm', capabilities: new Set(['chat']), contextTokens: 0 },
  } as unknown as DispatchedRequest['request'],
  trail: { enqueuedAtMs: 1, queueMs: 2, attempts: [] } as unknown as DispatchedRequest['trail'],
  outcome: 'completed',
  endedAtMs: 3,
  lastPlacement: null,
});

describe('ExplainLog', () => {
  it('knows a request that has just ended, before and while it is written, and afterwards', async () => {
    explainLog.record(ended('req_1'));
    expect(await explainLog.find('req_1')).toMatchObject({ requestId: 'req_1' });
    const written = explainLog.write();
    expect(await explainLog.find('req_1')).toMatchObject({ requestId: 'req_1', outcome: 'completed' });
    await written;
    expect(await explainLog.find('req_1')).toMatchObject({ requestId: 'req_1', queueMs: 2 });
  });

  it('knows a request whose end another replica writes a moment later', async () => {
    const other = new ExplainLog({ db, log });
    const found = explainLog.find('req_2');
    other.record(ended('req_2'));
    await other.close();
    expect(await found).toMatchObject({ requestId: 'req_2' });
  });

  it('writes with the next batch what the store refused', async () => {
    const file = join(folder, 'lai.sqlite');
    const hasty: Database = new Kysely({ dialect: sqliteDialect(file, 50) });
    const hastyLog = new ExplainLog({ db: hasty, log });
    const other = new DatabaseSync(file);
    other.exec('begin immediate');
    hastyLog.record(ended('req_4'));
    await hastyLog.write();
    expect(await findExplanation(db, 'req_4')).toBeUndefined();
    other.exec('commit');
    other.close();
    await hastyLog.close();
    expect(await findExplanation(db, 'req_4')).toContain('req_4');
    await hasty.destroy();
  });

  it('says after a moment that nothing is known', async () => {
    expect(await explainLog.find('req_3')).toBeNull();
  });
});
