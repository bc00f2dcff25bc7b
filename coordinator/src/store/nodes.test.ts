import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Database, openDatabase } from './database.ts';
import { advanceGeneration, findNode, insertNode, listNodes } from './nodes.ts';

const databaseWith = async (...ids: string[]): Promise<Database> => {
  const folder = mkdtempSync(path.join(tmpdir(), 'lai-nodes-'));
  const db = await openDatabase(path.join(folder, 'lai.db'));
  onTestFinished(async () => {
    await db.destroy();
    rmSync(folder, { recursive: true });
  });
  for (const [index, id] of ids.entries()) {
    await insertNode(db, { id, name: id, public_key: `key of ${id}`, created_at_ms: index, revoked_at_ms: null });
  }
  return db;
};

describe('stored nodes', () => {
  it('are found by their id and begin at generation 0', async () => {
    const db = await databaseWith('a', 'b');
    expect(await findNode(db, 'b')).toMatchObject({
      id: 'b',
      name: 'b',
      public_key: 'key of b',
      generation: 0,
      created_at_ms: 1,
      revoked_at_ms: null,
    });
    expect(await findNode(db, 'c')).toBeUndefined();
  });

  it('have a key of their own', async () => {
    const db = await databaseWith('a');
    const copy = insertNode(db, { id: 'b', name: 'b', public_key: 'key of a', created_at_ms: 1, revoked_at_ms: null });
    await expect(copy).rejects.toThrow(/UNIQUE/);
  });

  it('are listed by age without those that were removed', async () => {
    const db = await databaseWith('a', 'b', 'c');
    await db.updateTable('nodes').set({ revoked_at_ms: 9 }).where('id', '=', 'b').execute();
    expect((await listNodes(db)).map(({ id }) => id)).toEqual(['a', 'c']);
  });
});

describe('the count of connections of a node', () => {
  const generationOf = async (db: Database) => (await findNode(db, 'a'))?.generation;

  it('goes up with each connection that shows the last one', async () => {
    const db = await databaseWith('a', 'b');
    for (const shown of [0, 1, 2]) expect(await advanceGeneration(db, 'a', shown)).toBe(shown + 1);
    expect(await generationOf(db)).toBe(3);
    expect((await findNode(db, 'b'))?.generation).toBe(0);
  });

  it('forgives a node that died before it stored the last one', async () => {
    const db = await databaseWith('a');
    for (const shown of [0, 1, 2]) await advanceGeneration(db, 'a', shown);
    expect(await advanceGeneration(db, 'a', 2)).toBe(3);
    expect(await generationOf(db)).toBe(3);
    expect(await advanceGeneration(db, 'a', 3)).toBe(4);
  });

  it.each([
    ['an old copy', 1],
    ['one that was never given', 4],
    ['one from the future', 99],
    ['nonsense', -1],
  ])('refuses %s and stays as it was', async (_, shown) => {
    const db = await databaseWith('a');
    for (const given of [0, 1, 2]) await advanceGeneration(db, 'a', given);
    expect(await advanceGeneration(db, 'a', shown)).toBe(false);
    expect(await generationOf(db)).toBe(3);
  });

  it('finds a copy out that slept while the original connected twice', async () => {
    const db = await databaseWith('a');
    const original = await advanceGeneration(db, 'a', 0);
    const copy = original;
    const next = await advanceGeneration(db, 'a', original || 0);
    expect(await advanceGeneration(db, 'a', next || 0)).toBe(3);
    expect(await advanceGeneration(db, 'a', copy || 0)).toBe(false);
  });

  it('refuses a node that it does not know', async () => {
    expect(await advanceGeneration(await databaseWith('a'), 'x', 0)).toBe(false);
  });

  it('is given to each of two connections of one moment, but not counted twice', async () => {
    const db = await databaseWith('a');
    expect(await Promise.all([advanceGeneration(db, 'a', 0), advanceGeneration(db, 'a', 0)])).toEqual([1, 1]);
    expect(await generationOf(db)).toBe(1);
  });
});
