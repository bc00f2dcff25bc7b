import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Database, openDatabase } from '../store/database.ts';
import {
  createRegistrationToken as createToken,
  redeemRegistrationToken as redeemToken,
  type TokenOptions,
} from './registration-tokens.ts';

const NOW_MS = 1_795_241_344_000;
const HOUR_MS = 60 * 60_000;
const FINGERPRINT = 'f0'.repeat(16);

const createRegistrationToken = async (db: Database, nowMs: number, options: Partial<TokenOptions> = {}): Promise<string> =>
  (await createToken(db, { nowMs, coordinatorFingerprint: FINGERPRINT, ...options })).token;

const redeemRegistrationToken = async (db: Database, token: string, nowMs: number): Promise<boolean> =>
  (await redeemToken(db, token, nowMs)).kind === 'accepted';

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
    expect(token).toMatch(new RegExp(`^laj_[0-9a-f]{12}_[0-9a-f]{32}_${FINGERPRINT}$`));
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
    const token = await createRegistrationToken(db, NOW_MS, { ttlMs: 1_000 });
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
      `laj_${id}_${'0'.repeat(32)}_${FINGERPRINT}`,
      `laj_${'0'.repeat(12)}_${secret}_${FINGERPRINT}`,
      `laj_${other.split('_')[1]}_${secret}_${FINGERPRINT}`,
      `laj_%_${secret}_${FINGERPRINT}`,
      `laj_${id}_${secret}`,
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

  it.each<[Partial<TokenOptions>, boolean]>([
    [{}, false],
    [{ needsApproval: true }, true],
    [{ ttlMs: 24 * HOUR_MS }, false],
    [{ ttlMs: 24 * HOUR_MS + 1 }, true],
    [{ maxUses: 2 }, true],
    [{ maxUses: 2, needsApproval: false }, true],
  ])('made with %j: who comes with it must be approved: %s', async (options, isNeeded) => {
    const db = await emptyDatabase();
    const redeemed = await redeemToken(db, await createRegistrationToken(db, NOW_MS, options), NOW_MS);
    expect(redeemed).toMatchObject({ kind: 'accepted', row: { needs_approval: Number(isNeeded) } });
  });

  it.each<Partial<TokenOptions>>([
    { ttlMs: 7 * 24 * HOUR_MS + 1 },
    { ttlMs: 0 },
    { ttlMs: Number.NaN },
    { maxUses: 0 },
    { maxUses: 51 },
    { maxUses: 1.5 },
  ])('cannot be made with %j', async (options) => {
    await expect(createRegistrationToken(await emptyDatabase(), NOW_MS, options)).rejects.toThrow(/registration token/);
  });

  it('says so when its secret is shown again, and counts it', async () => {
    const db = await emptyDatabase();
    const token = await createRegistrationToken(db, NOW_MS);
    await redeemToken(db, token, NOW_MS);
    expect(await redeemToken(db, token, NOW_MS)).toMatchObject({ kind: 'late', refusals: 1 });
    expect(await redeemToken(db, token, NOW_MS)).toMatchObject({ kind: 'late', refusals: 2 });
    const wrong = token.replace(/_[0-9a-f]{32}_/, `_${'0'.repeat(32)}_`);
    expect(await redeemToken(db, wrong, NOW_MS)).toEqual({ kind: 'unknown' });
  });
});
