import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { findApiKey, listApiKeys, replaceSecret, revokeApiKey, updateApiKey } from '../store/api-keys.ts';
import { type Database, openDatabase } from '../store/database.ts';
import { ApiKeys, createApiKey, keyFromHeader, newSecret } from './api-keys.ts';

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
    expect(await new ApiKeys(db).authenticate(key, NOW_MS)).toEqual({
      keyId: id,
      name: 'phone',
      scopes: ['inference', 'read'],
      models: null,
    });
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

describe('a key that changes while it is in use', () => {
  const inUse = async () => {
    const db = await emptyDatabase();
    const keys = new ApiKeys(db);
    onTestFinished(() => keys.close());
    const { id, key } = await createApiKey(db, { name: 'phone', scopes: ['inference'], nowMs: NOW_MS });
    expect(await keys.authenticate(key, NOW_MS)).not.toBeNull();
    return { db, keys, id, key, request: keys.use(key, ({ scopes }) => scopes.includes('inference')) };
  };

  it('stops what it was doing when it is revoked, and is refused from then on', async () => {
    const { db, keys, id, key, request } = await inUse();
    await revokeApiKey(db, id, NOW_MS);
    await keys.recheck(NOW_MS);
    expect(request.signal.aborted).toBe(true);
    expect(await keys.authenticate(key, NOW_MS)).toBeNull();
  });

  it('goes on when another one is revoked', async () => {
    const { db, keys, key, request } = await inUse();
    const other = await createApiKey(db, { name: 'other', scopes: ['inference'], nowMs: NOW_MS });
    await revokeApiKey(db, other.id, NOW_MS);
    await keys.recheck(NOW_MS);
    expect(request.signal.aborted).toBe(false);
    expect(await keys.authenticate(key, NOW_MS)).not.toBeNull();
  });

  it('stops when it is disabled, and works again when it is enabled', async () => {
    const { db, keys, id, key, request } = await inUse();
    await updateApiKey(db, id, { is_enabled: 0 });
    await keys.recheck(NOW_MS);
    expect(request.signal.aborted).toBe(true);
    expect(await keys.authenticate(key, NOW_MS)).toBeNull();
    await updateApiKey(db, id, { is_enabled: 1 });
    await keys.recheck(NOW_MS);
    expect(await keys.authenticate(key, NOW_MS)).not.toBeNull();
  });

  it('stops what it may no longer do, and goes on with what it may', async () => {
    const { db, keys, id, key, request } = await inUse();
    const looking = keys.use(key, ({ scopes }) => scopes.includes('read'));
    await updateApiKey(db, id, { scopes: JSON.stringify(['inference', 'read']) });
    await keys.recheck(NOW_MS);
    expect([request.signal.aborted, looking.signal.aborted]).toEqual([false, false]);
    await updateApiKey(db, id, { scopes: JSON.stringify(['read']) });
    await keys.recheck(NOW_MS);
    expect([request.signal.aborted, looking.signal.aborted]).toEqual([true, false]);
  });

  it('has an old secret that works until its grace is over, and not a moment longer', async () => {
    const { db, keys, id, key, request } = await inUse();
    const next = newSecret();
    await replaceSecret(db, id, { ...next, previousUntilMs: NOW_MS + 1_000 });
    await keys.recheck(NOW_MS);
    expect(request.signal.aborted).toBe(false);
    expect(await keys.authenticate(next.key, NOW_MS)).toMatchObject({ keyId: id });
    expect(await keys.authenticate(key, NOW_MS + 999)).toMatchObject({ keyId: id });
    expect(await keys.authenticate(key, NOW_MS + 1_000)).toBeNull();
    await keys.recheck(NOW_MS + 1_000);
    expect(request.signal.aborted).toBe(true);
  });

  it('is not stopped once its request is over', async () => {
    const { db, keys, id, request } = await inUse();
    request.end();
    await revokeApiKey(db, id, NOW_MS);
    await keys.recheck(NOW_MS);
    expect(request.signal.aborted).toBe(false);
  });

  it('is not believed on the word of a look that began before it was revoked', async () => {
    const { db, keys, id, key } = await inUse();
    await keys.recheck(NOW_MS);
    const looking = keys.authenticate(key, NOW_MS + REMEMBERED_MS);
    await Promise.all([revokeApiKey(db, id, NOW_MS).then(() => keys.recheck(NOW_MS)), looking]);
    expect(await keys.authenticate(key, NOW_MS)).toBeNull();
  });

  it('is known to have been used', async () => {
    const { db, keys, id } = await inUse();
    await keys.writeUses();
    expect((await findApiKey(db, id))?.last_used_at_ms).toBe(NOW_MS);
  });
});
