import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { listApiKeys, revokeApiKey } from '../store/api-keys.ts';
import { type Database, openDatabase } from '../store/database.ts';
import { ApiKeys, createApiKey, keyFromHeader } from './api-keys.ts';

const NOW_MS = 1_795_241_344_000;
/** An answer about a key is remembered for this long. */
const REMEMBERED_MS = 5_000;

const emptyDatabase = async (): Promise<Database> => {
  const folder = mkdtempSync(path.join(tmpdir(), 'lai-keys-'));
  const db = await openDatabase(path.join(folder, 'lai.db'));
  onTestFinished(async () => {
    await db.destroy();
    rmSync(folder, { recursive: true });
  });
  return db;
};

const KEY = `lai_${'0a'.repeat(16)}`;

describe('the Authorization header', () => {
  it.each<[string | undefined, string | null]>([
    [`Bearer ${KEY}`, KEY],
    [`bearer ${KEY}`, KEY],
    [`BEARER   ${KEY} `, KEY],
    [KEY, KEY],
    [` ${KEY} `, KEY],
    [undefined, null],
    ['', null],
    ['Bearer', null],
    ['Bearer ', null],
    [`Basic ${KEY}`, null],
    [`Bearer Bearer ${KEY}`, null],
    [`Bearer${KEY}`, null],
    [`Bearer ${KEY}0`, null],
    [`Bearer ${KEY.slice(0, -1)}`, null],
    [`Bearer ${KEY.toUpperCase()}`, null],
    [`Bearer ${KEY}\n${KEY}`, null],
    ['Bearer sk-proj-abc', null],
    [`Bearer laj_${'0a'.repeat(16)}`, null],
  ])('%j holds the key %j', (header, key) => {
    expect(keyFromHeader(header)).toBe(key);
  });
});

describe('an API key', () => {
  it('opens the door to whom it was made for, with what it may do', async () => {
    const db = await emptyDatabase();
    const { id, key } = await createApiKey(db, { name: 'phone', scopes: ['inference', 'read'], nowMs: NOW_MS });
    expect(keyFromHeader(`Bearer ${key}`)).toBe(key);
    expect(await new ApiKeys(db).authenticate(key, NOW_MS)).toEqual({ keyId: id, name: 'phone', scopes: ['inference', 'read'] });
  });

  it('is stored as a hash and its first eight characters, nothing more', async () => {
    const db = await emptyDatabase();
    const { key } = await createApiKey(db, { name: 'phone', scopes: ['admin'], nowMs: NOW_MS });
    const [row] = await listApiKeys(db);
    expect(row?.prefix).toBe(key.slice(0, 8));
    expect(JSON.stringify(row)).not.toContain(key.slice(4));
    expect(row).toMatchObject({
      name: 'phone',
      scopes: '["admin"]',
      created_at_ms: NOW_MS,
      expires_at_ms: null,
      revoked_at_ms: null,
    });
  });

  it('that nobody made opens nothing', async () => {
    const db = await emptyDatabase();
    await createApiKey(db, { name: 'phone', scopes: ['inference'], nowMs: NOW_MS });
    expect(await new ApiKeys(db).authenticate(KEY, NOW_MS)).toBeNull();
  });

  it('works until the moment it expires', async () => {
    const db = await emptyDatabase();
    const { key } = await createApiKey(db, { name: 'guest', scopes: ['inference'], nowMs: NOW_MS, expiresAtMs: NOW_MS + 60_000 });
    expect(await new ApiKeys(db).authenticate(key, NOW_MS + 59_999)).not.toBeNull();
    expect(await new ApiKeys(db).authenticate(key, NOW_MS + 60_000)).toBeNull();
  });

  it('is not remembered beyond its expiry', async () => {
    const db = await emptyDatabase();
    const keys = new ApiKeys(db);
    const { key } = await createApiKey(db, { name: 'guest', scopes: ['inference'], nowMs: NOW_MS, expiresAtMs: NOW_MS + 1_000 });
    expect(await keys.authenticate(key, NOW_MS)).not.toBeNull();
    expect(await keys.authenticate(key, NOW_MS + 1_000)).toBeNull();
  });

  it('is refused once it was revoked, at the latest when the memory of it ends', async () => {
    const db = await emptyDatabase();
    const keys = new ApiKeys(db);
    const { id, key } = await createApiKey(db, { name: 'phone', scopes: ['inference'], nowMs: NOW_MS });
    expect(await keys.authenticate(key, NOW_MS)).not.toBeNull();
    expect(await revokeApiKey(db, id, NOW_MS)).toBe(true);
    expect(await keys.authenticate(key, NOW_MS + REMEMBERED_MS)).toBeNull();
    expect(await new ApiKeys(db).authenticate(key, NOW_MS)).toBeNull();
  });

  it('is looked up once in a while, not with every request', async () => {
    const db = await emptyDatabase();
    const keys = new ApiKeys(db);
    expect(await keys.authenticate(KEY, NOW_MS)).toBeNull();
    const { id, key } = await createApiKey(db, { name: 'phone', scopes: ['inference'], nowMs: NOW_MS });
    expect(await keys.authenticate(key, NOW_MS)).not.toBeNull();
    await revokeApiKey(db, id, NOW_MS);
    expect(await keys.authenticate(key, NOW_MS + REMEMBERED_MS - 1)).not.toBeNull();
  });
});
