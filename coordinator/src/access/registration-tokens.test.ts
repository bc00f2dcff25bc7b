import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Database, openDatabase } from '../store/database.ts';
import { createRegistrationToken, redeemRegistrationToken } from './registration-tokens.ts';

const NOW_MS = 1_795_241_344_000;
const HOUR_MS = 60 * 60_000;

const emptyDatabase = async (): Promise<Database> => {
  const folder = mkdtempSync(path.join(tmpdir(), 'lai-tokens-'));
  const db = await openDatabase(path.join(folder, 'lai.db'));
  onTestFinished(async () => {
    await db.destroy();
    rmSync(folder, { recursive: true });
  });
  return db;
};

describe('a registration token', () => {
  it('lets one machine in, once', async () => {
    const db = await emptyDatabase();
    const token = await createRegistrationToken(db, NOW_MS);
    expect(token).toMatch(/^laj_[0-9a-f]{12}_[0-9a-f]{32}$/);
    expect(await redeemRegistrationToken(db, token, NOW_MS)).toBe(true);
    expect(await redeemRegistrationToken(db, token, NOW_MS)).toBe(false);
  });

  it('lets one of twenty machines in that come at the same moment', async () => {
    const db = await emptyDatabase();
    const token = await createRegistrationToken(db, NOW_MS);
    const answers = await Promise.all(Array.from({ length: 20 }, () => redeemRegistrationToken(db, token, NOW_MS)));
    expect(answers.filter((isIn) => isIn)).toHaveLength(1);
  });

  it('lets one of twenty in that come to two coordinators over one database', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'lai-tokens-'));
    const file = path.join(folder, 'lai.db');
    const databases = [await openDatabase(file), await openDatabase(file)] as const;
    onTestFinished(async () => {
      await Promise.all(databases.map((db) => db.destroy()));
      rmSync(folder, { recursive: true });
    });
    const token = await createRegistrationToken(databases[0], NOW_MS);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => redeemRegistrationToken(index % 2 ? databases[0] : databases[1], token, NOW_MS)),
    );
    expect(answers.filter((isIn) => isIn)).toHaveLength(1);
  });

  it('is worth nothing from the moment it expires, an hour after it was made', async () => {
    const db = await emptyDatabase();
    const [late, early] = [await createRegistrationToken(db, NOW_MS), await createRegistrationToken(db, NOW_MS)];
    expect(await redeemRegistrationToken(db, late, NOW_MS + HOUR_MS)).toBe(false);
    expect(await redeemRegistrationToken(db, early, NOW_MS + HOUR_MS - 1)).toBe(true);
  });

  it('can be made for another time', async () => {
    const db = await emptyDatabase();
    const token = await createRegistrationToken(db, NOW_MS, 1_000);
    expect(await redeemRegistrationToken(db, token, NOW_MS + 1_000)).toBe(false);
    expect(await redeemRegistrationToken(db, token, NOW_MS + 999)).toBe(true);
  });

  it('is not used up by somebody who guesses at it', async () => {
    const db = await emptyDatabase();
    const token = await createRegistrationToken(db, NOW_MS);
    const [, id = '', secret = ''] = token.split('_');
    const other = await createRegistrationToken(db, NOW_MS);
    for (const wrong of [
      '',
      'laj_',
      secret,
      `laj_${id}_`,
      `laj_${id}_${'0'.repeat(32)}`,
      `laj_${'0'.repeat(12)}_${secret}`,
      `laj_${other.split('_')[1]}_${secret}`,
      `laj_%_${secret}`,
      `${token}0`,
      ` ${token}`,
      token.toUpperCase(),
    ]) {
      expect(await redeemRegistrationToken(db, wrong, NOW_MS)).toBe(false);
    }
    expect(await redeemRegistrationToken(db, token, NOW_MS)).toBe(true);
  });

  it('is stored as a hash', async () => {
    const db = await emptyDatabase();
    const token = await createRegistrationToken(db, NOW_MS);
    const rows = await db.selectFrom('registration_tokens').selectAll().execute();
    expect(rows).toHaveLength(1);
    expect(JSON.stringify(rows)).not.toContain(token.split('_')[2]);
  });
});
