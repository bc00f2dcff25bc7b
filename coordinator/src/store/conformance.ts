import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  findApiKey,
  findApiKeyByHash,
  insertApiKey,
  listApiKeys,
  recordKeyUse,
  replaceSecret,
  revokeApiKey,
} from './api-keys.ts';
import { auditRowsAfter, insertAuditRow, lastAuditRow, listAuditRows } from './audit-log.ts';
import { backUp } from './backup.ts';
import { connectDatabase, type Database, databasePlace, executedMigrations, migrate, openDatabase } from './database.ts';
import { MIGRATIONS } from './migrations/all.ts';
import { advanceGeneration, confirmGeneration, findNode, insertNode, listNodes, moveNode, replaceNodeKey } from './nodes.ts';
import { joinUsers } from './presence.ts';
import {
  consumeRegistrationToken,
  countRefusedUse,
  insertRegistrationToken,
  revokeRegistrationToken,
} from './registration-tokens.ts';
import { restore } from './restore.ts';
import { deleteSetting, keepSetting, readSetting, replaceSetting } from './settings.ts';
import { deleteUser, findUser, findUserByName, insertUser, isAnybodyThere, listUsers, updateUser } from './users.ts';

/** What lasting truth must do, whichever database keeps it. `newLocation` names an empty database, a new one each time. */
export const storeConformance = (kind: string, newLocation: () => Promise<string>): void => {
  const opened = async (location: string): Promise<Database> => {
    const db = await openDatabase(location);
    onTestFinished(() => db.destroy());
    return db;
  };
  const fresh = async (): Promise<Database> => opened(await newLocation());
  const folder = (): string => {
    const path = mkdtempSync(join(tmpdir(), 'lai-store-'));
    onTestFinished(() => rmSync(path, { recursive: true, force: true }));
    return path;
  };

  describe(`the schema on ${kind}`, () => {
    it('is made once, by whoever comes first of many', async () => {
      const location = await newLocation();
      const script = `import { openDatabase } from ${JSON.stringify(join(import.meta.dirname, 'database.ts'))};
        const db = await openDatabase(${JSON.stringify(location)}); await db.destroy();`;
      const codes = await Promise.all(Array.from({ length: 4 }, () => runScript(script)));
      expect(codes).toEqual([0, 0, 0, 0]);
      expect(await executedMigrations(await opened(location))).toEqual(Object.keys(MIGRATIONS));
    });

    it('moves on from the first version with everything that was in it', async () => {
      const location = await newLocation();
      const old = connectDatabase(databasePlace(location));
      await migrate(old, '0001-first-tables');
      await old
        .insertInto('nodes')
        .values({ id: 'node_1', name: 'attic', public_key: 'k', created_at_ms: 1, revoked_at_ms: null })
        .execute();
      await old
        .insertInto('nodes')
        .values({ id: 'node_2', name: 'gone', public_key: 'l', created_at_ms: 1, revoked_at_ms: 5 })
        .execute();
      await old.destroy();
      const db = await opened(location);
      expect(await findNode(db, 'node_1')).toMatchObject({
        name: 'attic',
        state: 'approved',
        node_group: 'default',
        generation: 0,
      });
      expect(await findNode(db, 'node_2')).toMatchObject({ state: 'revoked' });
    });

    it('is left alone when a newer Lai has written it', async () => {
      const location = await newLocation();
      const db = await opened(location);
      await db
        .insertInto('kysely_migration' as 'settings')
        .values({ name: '9999-from-the-future', timestamp: '2030-01-01T00:00:00.000Z' } as never)
        .execute();
      await expect(openDatabase(location)).rejects.toThrow(/newer Lai/);
    });
  });

  describe(`rows on ${kind}`, () => {
    it('give whole numbers and nothing else back as they were', async () => {
      const db = await fresh();
      await insertApiKey(db, keyRow('key_1', { created_at_ms: 1_795_241_344_123, expires_at_ms: 8_640_000_000_000_000 }));
      expect(await findApiKeyByHash(db, 'hash of key_1')).toEqual({
        ...keyRow('key_1'),
        created_at_ms: 1_795_241_344_123,
        expires_at_ms: 8_640_000_000_000_000,
        models: null,
        is_enabled: 1,
        last_used_at_ms: null,
        previous_hash: null,
        previous_until_ms: null,
      });
    });

    it('take hostile text as text', async () => {
      const db = await fresh();
      const name = `'; drop table api_keys; -- " \\ \u{1f600} ${'x'.repeat(500)}`;
      await insertApiKey(db, keyRow('key_1', { name }));
      expect((await listApiKeys(db))[0]?.name).toBe(name);
      expect(await findApiKeyByHash(db, "' or '1'='1")).toBeUndefined();
    });

    it('are all changed by a transaction or none', async () => {
      const db = await fresh();
      const failing = db.transaction().execute(async (trx) => {
        await insertApiKey(trx, keyRow('key_1'));
        throw new Error('changed my mind');
      });
      await expect(failing).rejects.toThrow('changed my mind');
      expect(await listApiKeys(db)).toEqual([]);
    });

    it('replace a setting over what was read, for one of those who have read the same', async () => {
      const db = await fresh();
      let before: string | null = null;
      for (const round of [1, 2, 3]) {
        const values = Array.from({ length: 8 }, (_, index) => `${round}-${index}`);
        const wins = await Promise.all(values.map((value) => replaceSetting(db, 'contested', before, value)));
        expect(wins.filter(Boolean)).toHaveLength(1);
        expect(await readSetting(db, 'contested')).toBe(values[wins.indexOf(true)]);
        before = await readSetting(db, 'contested');
      }
      expect(await replaceSetting(db, 'contested', 'something older', 'x')).toBe(false);
      expect(await replaceSetting(db, 'contested', null, 'x')).toBe(false);
      expect(await readSetting(db, 'contested')).toBe(before);
    });

    it('keep a setting as it was first written', async () => {
      const db = await fresh();
      const kept = await Promise.all(['a', 'b', 'c'].map((value) => keepSetting(db, 'identity', value)));
      expect(new Set(kept)).toEqual(new Set([await readSetting(db, 'identity')]));
    });
  });

  describe(`API keys on ${kind}`, () => {
    it('are found by the secret they have and the one they had', async () => {
      const db = await fresh();
      await insertApiKey(db, keyRow('key_1'));
      expect(await replaceSecret(db, 'key_1', { hash: 'new', prefix: 'lai_new0', previousUntilMs: 99 })).toBe(true);
      expect(await findApiKeyByHash(db, 'new')).toMatchObject({
        id: 'key_1',
        previous_hash: 'hash of key_1',
        previous_until_ms: 99,
      });
      expect(await findApiKeyByHash(db, 'hash of key_1')).toMatchObject({ id: 'key_1' });
      expect(await replaceSecret(db, 'key_1', { hash: 'newer', prefix: 'lai_new1', previousUntilMs: null })).toBe(true);
      expect(await findApiKeyByHash(db, 'new')).toBeUndefined();
    });

    it('are revoked once, and then have no more secrets', async () => {
      const db = await fresh();
      await insertApiKey(db, keyRow('key_1'));
      expect(await revokeApiKey(db, 'key_1', 5)).toBe(true);
      expect(await revokeApiKey(db, 'key_1', 9)).toBe(false);
      expect((await findApiKey(db, 'key_1'))?.revoked_at_ms).toBe(5);
      expect(await replaceSecret(db, 'key_1', { hash: 'n', prefix: 'p', previousUntilMs: null })).toBe(false);
    });

    it('remember their last use, which never goes back', async () => {
      const db = await fresh();
      await insertApiKey(db, keyRow('key_1'));
      await recordKeyUse(db, new Map([['key_1', 20]]));
      await recordKeyUse(db, new Map([['key_1', 10]]));
      expect((await findApiKey(db, 'key_1'))?.last_used_at_ms).toBe(20);
    });
  });

  describe(`registration tokens on ${kind}`, () => {
    const token = (over: Record<string, unknown> = {}) => ({
      ...{ id: 't1', hash: 'h', created_at_ms: 0, expires_at_ms: 100, uses_left: 3, max_uses: 3 },
      ...over,
    });

    it('are used up by exactly as many as they were made for, however many come at once', async () => {
      const db = await fresh();
      await insertRegistrationToken(db, token());
      const answers = await Promise.all(Array.from({ length: 20 }, () => consumeRegistrationToken(db, 't1', 'h', 50)));
      expect(answers.filter(Boolean)).toHaveLength(3);
    });

    it.each([
      ['expired', {}, 100],
      ['revoked', { revoked_at_ms: 10 }, 50],
      ['with another secret', { hash: 'other' }, 50],
    ])('let nobody in when they are %s', async (_, over, nowMs) => {
      const db = await fresh();
      await insertRegistrationToken(db, token(over));
      expect(await consumeRegistrationToken(db, 't1', 'h', nowMs)).toBe(false);
    });

    it('count who came too late, and are revoked once', async () => {
      const db = await fresh();
      await insertRegistrationToken(db, token());
      expect(await countRefusedUse(db, 't1')).toBe(1);
      expect(await countRefusedUse(db, 't1')).toBe(2);
      expect(await revokeRegistrationToken(db, 't1', 5)).toBe(true);
      expect(await revokeRegistrationToken(db, 't1', 6)).toBe(false);
    });
  });

  describe(`nodes on ${kind}`, () => {
    const withNode = async () => {
      const db = await fresh();
      await insertNode(db, nodeRow('node_1'));
      return db;
    };

    it('advance by the count they were given, and may miss one that they did not confirm', async () => {
      const db = await withNode();
      expect(await advanceGeneration(db, 'node_1', 0)).toBe(1);
      expect(await advanceGeneration(db, 'node_1', 0)).toBe(1);
      await confirmGeneration(db, 'node_1', 1);
      expect(await advanceGeneration(db, 'node_1', 0)).toBe(false);
      expect(await advanceGeneration(db, 'node_1', 1)).toBe(2);
    });

    it('are seen where and when they advance, and not when they are refused', async () => {
      const db = await withNode();
      const visit = { atMs: 5, address: '192.0.2.1', transport: 'tls' } as const;
      await advanceGeneration(db, 'node_1', 0, visit);
      const seen = { last_connected_at_ms: 5, last_address: '192.0.2.1', last_transport: 'tls' };
      expect(await findNode(db, 'node_1')).toMatchObject(seen);
      expect(await advanceGeneration(db, 'node_1', 9, { ...visit, atMs: 6 })).toBe(false);
      expect(await findNode(db, 'node_1')).toMatchObject(seen);
    });

    it('move between states only from where they are', async () => {
      const db = await withNode();
      const move = (from: 'approved' | 'locked', to: 'approved' | 'locked' | 'revoked') =>
        moveNode(db, 'node_1', { from: [from], to, reason: 'why', nowMs: 7, forgetGeneration: to === 'approved' });
      expect(await move('locked', 'approved')).toBe(false);
      expect(await move('approved', 'locked')).toBe(true);
      expect(await findNode(db, 'node_1')).toMatchObject({ state: 'locked', state_reason: 'why' });
      expect(await move('locked', 'approved')).toBe(true);
      expect(await advanceGeneration(db, 'node_1', 41)).toBe(42);
      expect(await move('approved', 'revoked')).toBe(true);
      expect(await listNodes(db)).toEqual([]);
    });

    it('change their key once from the one they had', async () => {
      const db = await withNode();
      const keys = { from: 'key of node_1', to: 'next' };
      expect(await Promise.all([replaceNodeKey(db, 'node_1', keys), replaceNodeKey(db, 'node_1', keys)])).toContain(true);
      expect(await replaceNodeKey(db, 'node_1', keys)).toBe(false);
      expect((await findNode(db, 'node_1'))?.public_key).toBe('next');
    });

    it('have a key of their own', async () => {
      const db = await withNode();
      await expect(insertNode(db, { ...nodeRow('node_2'), public_key: 'key of node_1' })).rejects.toThrow(/unique/i);
    });
  });

  describe(`people on ${kind}`, () => {
    const userRow = (id: string, name: string) => ({
      ...{ id, name, password_hash: `hash of ${name}`, role: 'viewer' as const, created_at_ms: 1 },
    });

    it('have a name of their own, also when two come at once', async () => {
      const db = await fresh();
      expect(await isAnybodyThere(db)).toBe(false);
      expect((await Promise.all(['u1', 'u2'].map((id) => insertUser(db, userRow(id, 'anna'))))).sort()).toEqual([false, true]);
      expect(await insertUser(db, userRow('u3', 'bert'))).toBe(true);
      expect((await listUsers(db)).map(({ name }) => name).sort()).toEqual(['anna', 'bert']);
      expect(await isAnybodyThere(db)).toBe(true);
      expect(await findUserByName(db, 'Anna')).toBeUndefined();
    });

    it('are changed in what is named and nothing else, and forgotten once', async () => {
      const db = await fresh();
      await insertUser(db, userRow('u1', 'anna'));
      const before = await findUser(db, 'u1');
      expect(before).toMatchObject({ is_enabled: 1, last_sign_in_at_ms: null });
      expect(await updateUser(db, 'u1', { role: 'admin', last_sign_in_at_ms: 5 })).toBe(true);
      expect(await findUser(db, 'u1')).toEqual({ ...before, role: 'admin', last_sign_in_at_ms: 5 });
      expect(await updateUser(db, 'nobody', { role: 'admin' })).toBe(false);
      expect([await deleteUser(db, 'u1'), await deleteUser(db, 'u1')]).toEqual([true, false]);
    });

    it('find a setting that only one of two takes away', async () => {
      const db = await fresh();
      await keepSetting(db, 'once', 'x');
      expect((await Promise.all([deleteSetting(db, 'once'), deleteSetting(db, 'once')])).sort()).toEqual([false, true]);
    });
  });

  it(`the audit log on ${kind} has one row per number, and is read from both ends`, async () => {
    const db = await fresh();
    const row = (seq: number) => ({
      ...{ seq, at_ms: seq, actor: 'a', action: 'b', object: 'c', detail: '{}', origin: 'd', previous_hash: '', hash: `h${seq}` },
    });
    expect(await lastAuditRow(db)).toBeUndefined();
    expect((await Promise.all([insertAuditRow(db, row(1)), insertAuditRow(db, row(1))])).sort()).toEqual([false, true]);
    for (const seq of [2, 3]) expect(await insertAuditRow(db, row(seq))).toBe(true);
    expect((await lastAuditRow(db))?.seq).toBe(3);
    expect((await listAuditRows(db, { limit: 2, before: 3 })).map(({ seq }) => seq)).toEqual([2, 1]);
    expect((await auditRowsAfter(db, 1, 10)).map(({ seq }) => seq)).toEqual([2, 3]);
  });

  describe(`a backup of ${kind}`, () => {
    const options = (location: string, dataDir = folder()) => ({ location, dataDir, keyFiles: ['master.key'] });
    const filled = async (rows = 1_200) => {
      const location = await newLocation();
      const db = await opened(location);
      await insertNode(db, nodeRow('node_1'));
      await advanceGeneration(db, 'node_1', 0);
      for (let at = 0; at < rows; at += 400)
        await db
          .insertInto('api_keys')
          .values(Array.from({ length: 400 }, (_, index) => keyRow(`key_${String(at + index).padStart(5, '0')}`)))
          .execute();
      return { location, db };
    };

    it('brings everything back, on another database and with the key files', async () => {
      const { location, db } = await filled();
      const [from, to] = [folder(), folder()];
      writeFileSync(join(from, 'master.key'), 'secret bytes', { mode: 0o600 });
      const file = join(from, 'lai.backup');
      const taken = await backUp(file, { ...options(location, from), version: '1', nowMs: 77 });
      expect(taken).toEqual({ createdAtMs: 77, rows: 1_201, files: ['master.key'] });
      const other = await newLocation();
      expect(await restore(file, { ...options(other, to), replace: false })).toEqual(taken);
      const back = await opened(other);
      expect(await listApiKeys(back)).toEqual(await listApiKeys(db));
      expect(await readFile(join(to, 'master.key'), 'utf8')).toBe('secret bytes');
      // Whatever count the node shows next is taken: it has connected since, and is no copy for that.
      expect(await advanceGeneration(back, 'node_1', 12)).toBe(13);
    });

    it('is of one moment, although rows are written meanwhile', async () => {
      const { location, db } = await filled();
      let isDone = false;
      const writing = (async () => {
        // SQLite answers without ever leaving the microtask queue; the backup must get a turn.
        for (let at = 0; !isDone; at += 1, await nextTurn())
          await db.transaction().execute(async (trx) => {
            await keepSetting(trx, `pair ${at} a`, 'x');
            await keepSetting(trx, `pair ${at} b`, 'x');
          });
      })();
      const file = join(folder(), 'lai.backup');
      for (let round = 0; round < 5; round += 1) await backUp(file, { ...options(location), version: '1', nowMs: 1 });
      isDone = true;
      await writing;
      const other = await newLocation();
      await restore(file, { ...options(other), replace: false });
      const rows = await (await opened(other)).selectFrom('settings').select('name').execute();
      const halves = (half: string) => rows.flatMap(({ name }) => (name.endsWith(half) ? [name.slice(0, -2)] : [])).sort();
      expect(halves(' a').length).toBeGreaterThan(0);
      expect(halves(' a')).toEqual(halves(' b'));
    });

    it('is not put over a running coordinator, nor over a fleet that nobody gave up', async () => {
      const { location } = await filled(400);
      const file = join(folder(), 'lai.backup');
      await backUp(file, { ...options(location), version: '1', nowMs: 1 });
      const users = [await joinUsers(databasePlace(location)), await joinUsers(databasePlace(location))];
      expect(users.every((user) => user !== null)).toBe(true);
      await expect(restore(file, { ...options(location), replace: true })).rejects.toThrow(/A coordinator is running/);
      for (const user of users) await user?.release();
      await expect(restore(file, { ...options(location), replace: false })).rejects.toThrow(/already holds a fleet/);
      expect((await restore(file, { ...options(location), replace: true })).rows).toBe(401);
    });

    it('that is cut, changed or made by a newer Lai changes nothing', async () => {
      const { location, db } = await filled(400);
      const dir = folder();
      const file = join(dir, 'lai.backup');
      await backUp(file, { ...options(location), version: '1', nowMs: 1 });
      const bytes = await readFile(file);
      const text = gunzipSync(bytes).toString();
      const attempts: [Buffer, RegExp][] = [
        [bytes.subarray(0, bytes.length / 2), /damaged|incomplete/],
        [Buffer.from('hello'), /no backup/],
        [gzipSync(text.replace('key_00007', 'key_99999')), /changed/],
        [gzipSync(text.split('\n').slice(0, -2).join('\n')), /incomplete/],
        [gzipSync(text.replace('"0002-trust"', '"0002-trust","9999-future"')), /changed/],
      ];
      for (const [content, problem] of attempts) {
        writeFileSync(file, content);
        await expect(restore(file, { ...options(location), replace: true })).rejects.toThrow(problem);
      }
      expect(await listApiKeys(db)).toHaveLength(400);
    });
  });
};

const keyRow = (id: string, over: Record<string, unknown> = {}) => ({
  id,
  name: id,
  hash: `hash of ${id}`,
  prefix: 'lai_0000',
  scopes: '[]',
  created_at_ms: 1,
  expires_at_ms: null,
  revoked_at_ms: null,
  ...over,
});

const nodeRow = (id: string) => ({ id, name: id, public_key: `key of ${id}`, created_at_ms: 1, revoked_at_ms: null });

const runScript = (script: string): Promise<number | null> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    child.once('close', resolve);
  });
