import { chmodSync, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { sql } from 'kysely';
import { describe, expect, it, onTestFinished } from 'vitest';
import { findApiKeyByHash, insertApiKey, listApiKeys, revokeApiKey } from './api-keys.ts';
import { type Database, openDatabase } from './database.ts';
import { keepSetting, readSetting } from './settings.ts';

const emptyFolder = (): string => {
  const folder = mkdtempSync(path.join(tmpdir(), 'lai-store-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
};

const open = async (file: string): Promise<Database> => {
  const db = await openDatabase(file);
  onTestFinished(() => db.destroy());
  return db;
};

const tablesIn = (file: string): unknown[] => {
  const raw = new DatabaseSync(file);
  const rows = raw
    .prepare("select name from sqlite_master where type = 'table' and name not like 'sqlite_%' order by name")
    .all();
  raw.close();
  return rows.map((row) => row['name']);
};

const keyRow = (id: string, createdAtMs = 1) => ({
  id,
  name: id,
  hash: `hash of ${id}`,
  prefix: 'lai_0000',
  scopes: '[]',
  created_at_ms: createdAtMs,
  expires_at_ms: null,
  revoked_at_ms: null,
});

describe('the database', () => {
  it('is made with its folder, which is closed to others', async () => {
    const folder = path.join(emptyFolder(), 'new', 'lai');
    await open(path.join(folder, 'lai.db'));
    expect(existsSync(path.join(folder, 'lai.db'))).toBe(true);
    if (process.platform !== 'win32') expect(statSync(folder).mode & 0o777).toBe(0o700);
  });

  it.skipIf(process.platform === 'win32')(
    'takes the rights of others from files that were open, and gives none to those beside it',
    async () => {
      const file = path.join(emptyFolder(), 'lai.db');
      await (await openDatabase(file)).destroy();
      chmodSync(file, 0o644);
      await keepSetting(await open(file), 'colour', 'green');
      for (const each of [file, `${file}-wal`, `${file}-shm`]) expect(statSync(each).mode & 0o777).toBe(0o600);
    },
  );

  it('keeps what was written when it is opened again, and changes nothing about its tables', async () => {
    const file = path.join(emptyFolder(), 'lai.db');
    const first = await openDatabase(file);
    await keepSetting(first, 'colour', 'green');
    await first.destroy();
    const before = tablesIn(file);
    expect(before).toEqual(expect.arrayContaining(['api_keys', 'nodes', 'registration_tokens', 'settings']));
    const second = await open(file);
    expect(await readSetting(second, 'colour')).toBe('green');
    expect(tablesIn(file)).toEqual(before);
  });

  it('names the migration that failed, and nothing of it has happened', async () => {
    const file = path.join(emptyFolder(), 'lai.db');
    const raw = new DatabaseSync(file);
    raw.exec('create table nodes (something_else text)');
    raw.close();
    await expect(openDatabase(file)).rejects.toThrow(/lai\.db could not be brought up to date \(migration 0001-first-tables\)/);
    expect(tablesIn(file)).not.toContain('settings');
    expect(tablesIn(file)).toContain('nodes');
  });

  it('is up to date as soon as what stood in the way is gone', async () => {
    const file = path.join(emptyFolder(), 'lai.db');
    const raw = new DatabaseSync(file);
    raw.exec('create table nodes (something_else text)');
    await openDatabase(file).catch(() => {});
    raw.exec('drop table nodes');
    raw.close();
    expect(await listApiKeys(await open(file))).toEqual([]);
  });

  it('takes many questions at once and answers each', async () => {
    const db = await open(path.join(emptyFolder(), 'lai.db'));
    await Promise.all(Array.from({ length: 50 }, (_, index) => insertApiKey(db, keyRow(`key_${index}`, index))));
    const found = await Promise.all(Array.from({ length: 50 }, (_, index) => findApiKeyByHash(db, `hash of key_${index}`)));
    expect(found.map((row) => row?.id)).toEqual(Array.from({ length: 50 }, (_, index) => `key_${index}`));
  });

  it('keeps the order of questions and changes that come together', async () => {
    const db = await open(path.join(emptyFolder(), 'lai.db'));
    const found = [0, 1, 2].flatMap((index) => [insertApiKey(db, keyRow(`key_${index}`, index)), listApiKeys(db)]);
    expect((await Promise.all(found)).map((rows) => rows?.length)).toEqual([undefined, 1, undefined, 2, undefined, 3]);
  });

  it('writes changes that come together in one go', async () => {
    const file = path.join(emptyFolder(), 'lai.db');
    const db = await open(file);
    const grownBy = async (change: () => Promise<unknown>) => {
      const before = statSync(`${file}-wal`).size;
      await change();
      return statSync(`${file}-wal`).size - before;
    };
    const one = await grownBy(() => insertApiKey(db, keyRow('first')));
    const many = () => Promise.all(Array.from({ length: 20 }, (_, index) => insertApiKey(db, keyRow(`key_${index}`))));
    expect(await grownBy(many)).toBeLessThan(4 * one);
  });

  it('fails a change that cannot be, and none that came with it', async () => {
    const db = await open(path.join(emptyFolder(), 'lai.db'));
    const ids = ['a', 'b', 'b', 'c'];
    const outcomes = await Promise.allSettled(ids.map((id) => insertApiKey(db, keyRow(id))));
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
    expect((await listApiKeys(db)).map(({ id }) => id).toSorted()).toEqual(['a', 'b', 'c']);
  });

  it('goes on after a statement that failed', async () => {
    const db = await open(path.join(emptyFolder(), 'lai.db'));
    await insertApiKey(db, keyRow('a'));
    await expect(insertApiKey(db, keyRow('a'))).rejects.toThrow(/UNIQUE/);
    expect(await listApiKeys(db)).toHaveLength(1);
  });

  it('does all of a transaction or nothing, and lets nobody in between', async () => {
    const db = await open(path.join(emptyFolder(), 'lai.db'));
    let meanwhile: ReturnType<typeof listApiKeys> | undefined;
    const failing = db.transaction().execute(async (transaction) => {
      await insertApiKey(transaction as Database, keyRow('a'));
      meanwhile = listApiKeys(db);
      await insertApiKey(transaction as Database, keyRow('b'));
      throw new Error('changed my mind');
    });
    await expect(failing).rejects.toThrow('changed my mind');
    expect(await meanwhile).toEqual([]);
    expect(await listApiKeys(db)).toEqual([]);
    await db.transaction().execute((transaction) => insertApiKey(transaction as Database, keyRow('c')));
    expect(await listApiKeys(db)).toHaveLength(1);
  });

  it('takes yes and no for 1 and 0, and gives large whole numbers back as they were', async () => {
    const db = await open(path.join(emptyFolder(), 'lai.db'));
    const { rows } = await sql<{
      yes: number;
      no: number;
      large: number;
    }>`select ${true} as yes, ${false} as no, ${8.64e15} as large`.execute(db);
    expect(rows).toEqual([{ yes: 1, no: 0, large: 8.64e15 }]);
  });
});

describe('a setting', () => {
  it('is kept as it was first written', async () => {
    const db = await open(path.join(emptyFolder(), 'lai.db'));
    expect(await readSetting(db, 'identity')).toBeNull();
    expect(await keepSetting(db, 'identity', 'first')).toBe('first');
    expect(await keepSetting(db, 'identity', 'second')).toBe('first');
    expect(await readSetting(db, 'identity')).toBe('first');
  });

  it('is the same for two coordinators that start at the same moment', async () => {
    const file = path.join(emptyFolder(), 'lai.db');
    const [a, b] = [await open(file), await open(file)];
    const [first, second] = await Promise.all([keepSetting(a, 'identity', 'of a'), keepSetting(b, 'identity', 'of b')]);
    expect(first).toBe(second);
  });
});

describe('stored API keys', () => {
  it('are listed by age, revoked ones included', async () => {
    const db = await open(path.join(emptyFolder(), 'lai.db'));
    for (const [id, createdAtMs] of [
      ['young', 30],
      ['old', 10],
      ['middle', 20],
    ] as const)
      await insertApiKey(db, keyRow(id, createdAtMs));
    await revokeApiKey(db, 'old', 40);
    expect((await listApiKeys(db)).map(({ id, revoked_at_ms }) => [id, revoked_at_ms])).toEqual([
      ['old', 40],
      ['middle', null],
      ['young', null],
    ]);
  });

  it('are revoked once: the first time counts', async () => {
    const db = await open(path.join(emptyFolder(), 'lai.db'));
    await insertApiKey(db, keyRow('a'));
    expect(await revokeApiKey(db, 'a', 5)).toBe(true);
    expect(await revokeApiKey(db, 'a', 9)).toBe(false);
    expect(await revokeApiKey(db, 'unknown', 9)).toBe(false);
    expect((await findApiKeyByHash(db, 'hash of a'))?.revoked_at_ms).toBe(5);
  });
});
