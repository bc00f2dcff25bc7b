import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startTestRedis } from '../redis/test-redis.ts';
import { listAuditRows } from '../store/audit-log.ts';
import { type Database, openDatabase } from '../store/database.ts';
import { findUserByName, listUsers } from '../store/users.ts';
import { verifyAudit } from './audit.ts';
import { Sessions } from './sessions.ts';
import { changePassword, finishSetup, type SignInContext, setupToken, signIn, type Visit } from './sign-in.ts';
import { storeAdministration } from './store-administration.ts';

const PASSWORD = 'correct horse battery';
const nowMs = Date.now();
const from = (address: string): Visit => ({ address, browser: 'Firefox', nowMs });
const HOME = from('192.168.1.7');
const anna = { name: 'anna', password: PASSWORD };
const wrong = { name: 'anna', password: 'wrong horse battery' };

const said: string[] = [];
const log = pino({ level: 'info' }, { write: (line) => said.push(line) });

describe('signing in', () => {
  let redis: Awaited<ReturnType<typeof startTestRedis>>;
  let db: Database;
  let context: SignInContext;

  beforeAll(async () => {
    redis = await startTestRedis();
  });
  afterAll(() => redis?.stop());
  beforeEach(async () => {
    await redis.redis.flushall();
    const before = context;
    db = await openDatabase(':memory:');
    context = { db, redis: redis.redis, sessions: new Sessions({ redis: redis.redis, db }), log };
    before?.sessions.close();
    await before?.db.destroy();
  });
  afterAll(async () => {
    context.sessions.close();
    await db.destroy();
  });

  const codeOf = async (attempt: Promise<unknown>): Promise<string> => {
    try {
      await attempt;
      return 'fine';
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  const setUp = async () => finishSetup({ token: (await setupToken(db)) ?? '', ...anna }, HOME, context);
  const whose = async (secret: string) => (await context.sessions.find(secret, nowMs))?.user.name ?? null;
  const administration = () =>
    storeAdministration({ db, coordinatorKey: '', log, announce: () => {} }, { name: 'test', origin: '' });

  describe('for the first time', () => {
    it('makes one operator with the link, opens a session, and notes it', async () => {
      const token = (await setupToken(db)) ?? '';
      expect(token).toMatch(/^[0-9a-f]{32}$/);
      expect(await whose(await finishSetup({ token, ...anna }, HOME, context))).toBe('anna');
      expect(await listUsers(db)).toMatchObject([{ name: 'anna', role: 'admin', is_enabled: 1 }]);
      expect(await listAuditRows(db, { limit: 9 })).toMatchObject([
        { action: 'user.create', actor: 'setup', origin: HOME.address },
      ]);
    });

    it('works once', async () => {
      const token = (await setupToken(db)) ?? '';
      await finishSetup({ token, ...anna }, HOME, context);
      expect(await codeOf(finishSetup({ token, name: 'mallory', password: PASSWORD }, HOME, context))).toBe('sign_in_failed');
      expect(await setupToken(db)).toBeNull();
      expect(await listUsers(db)).toHaveLength(1);
    });

    it('works for one of two who come at the same moment', async () => {
      const token = (await setupToken(db)) ?? '';
      const codes = await Promise.all(
        ['anna', 'bert'].map((name) => codeOf(finishSetup({ token, name, password: PASSWORD }, HOME, context))),
      );
      expect(codes.sort()).toEqual(['fine', 'sign_in_failed']);
      expect(await listUsers(db)).toHaveLength(1);
    });

    it('needs the token of this start, which the database does not know', async () => {
      const old = (await setupToken(db)) ?? '';
      const token = (await setupToken(db)) ?? '';
      const stored = (await db.selectFrom('settings').selectAll().execute()).map(({ value }) => value);
      expect(stored.join()).not.toContain(token);
      for (const shown of [old, '', '0'.repeat(32), stored[0] ?? ''])
        expect(await codeOf(finishSetup({ token: shown, ...anna }, HOME, context))).toBe('sign_in_failed');
      expect(await codeOf(finishSetup({ token, ...anna }, HOME, context))).toBe('fine');
    });

    it('no longer works when an operator made somebody in another way, even when all of them are gone again', async () => {
      const token = (await setupToken(db)) ?? '';
      const { id } = await administration().createUser({ name: 'carl', password: PASSWORD, role: 'admin' });
      expect(await codeOf(finishSetup({ token, ...anna }, HOME, context))).toBe('sign_in_failed');
      await administration().removeUser(id);
      expect(await codeOf(finishSetup({ token, ...anna }, HOME, context))).toBe('sign_in_failed');
    });

    it('is not guessed: the fifth wrong token of an address was its last for a while', async () => {
      const token = (await setupToken(db)) ?? '';
      for (let tries = 0; tries < 5; tries += 1)
        expect(await codeOf(finishSetup({ token: String(tries), ...anna }, HOME, context))).toBe('sign_in_failed');
      expect(await codeOf(finishSetup({ token, ...anna }, HOME, context))).toBe('rate_limit_exceeded');
      expect(await codeOf(finishSetup({ token, ...anna }, from('10.0.0.2'), context))).toBe('fine');
    });
  });

  it('opens a new session each time, and notes when and from where', async () => {
    const first = await setUp();
    const second = await signIn({ ...anna, name: ' Anna ' }, HOME, context);
    expect(second).not.toBe(first);
    expect([await whose(first), await whose(second)]).toEqual(['anna', 'anna']);
    expect((await findUserByName(db, 'anna'))?.last_sign_in_at_ms).toBe(nowMs);
    expect((await listAuditRows(db, { limit: 1 }))[0]).toMatchObject({ action: 'session.begin', actor: 'anna' });
    expect(await verifyAudit(db)).toMatchObject({ isIntact: true });
  });

  it('refuses in the same words who does not exist, who is wrong and who was disabled; the log knows no names', async () => {
    await setUp();
    const { id } = await administration().createUser({ name: 'bert', password: PASSWORD });
    await administration().changeUser(id, { isEnabled: false });
    said.length = 0;
    const refusals = await Promise.all(
      [wrong, { name: 'nobody', password: PASSWORD }, { name: 'bert', password: PASSWORD }].map((request, at) =>
        signIn(request, from(`10.0.0.${at}`), context).catch((error: { code: string; message: string }) => [
          error.code,
          error.message,
        ]),
      ),
    );
    for (const refusal of refusals) expect(refusal).toEqual(['sign_in_failed', 'The name or the password is wrong.']);
    expect(said).toHaveLength(3);
    expect(said.join()).not.toMatch(/anna|bert|nobody|horse/);
  });

  describe('too often', () => {
    it('with five wrong passwords makes an address wait a minute, then two, and no right one is looked at meanwhile', async () => {
      await setUp();
      const stranger = from('10.0.0.9');
      for (let tries = 0; tries < 5; tries += 1) expect(await codeOf(signIn(wrong, stranger, context))).toBe('sign_in_failed');
      const refusal = await signIn(anna, stranger, context).catch((error: object) => error);
      expect(refusal).toMatchObject({ code: 'rate_limit_exceeded' });
      const { retryAfterSeconds } = refusal as { retryAfterSeconds: number };
      expect(retryAfterSeconds).toBeGreaterThan(50);
      expect(retryAfterSeconds).toBeLessThanOrEqual(60);
    });

    it('counts an account wherever the tries come from, but lets its owner in from where they have been before', async () => {
      await setUp();
      await signIn(anna, HOME, context);
      for (let tries = 0; tries < 5; tries += 1)
        expect(await codeOf(signIn(wrong, from(`10.0.${tries}.1`), context))).toBe('sign_in_failed');
      expect(await codeOf(signIn(anna, from('10.0.9.1'), context))).toBe('rate_limit_exceeded');
      expect(await codeOf(signIn(anna, HOME, context))).toBe('fine');
    });

    it('says the same about an account that does not exist', async () => {
      const codes: string[] = [];
      for (let tries = 0; tries < 7; tries += 1)
        codes.push(await codeOf(signIn({ name: 'nobody', password: PASSWORD }, from(`10.0.${tries}.1`), context)));
      expect(codes).toEqual([...Array(5).fill('sign_in_failed'), ...Array(2).fill('rate_limit_exceeded')]);
    });

    it('counts tries at the same moment one by one', async () => {
      await setUp();
      const codes = await Promise.all(Array.from({ length: 40 }, () => codeOf(signIn(wrong, from('10.0.0.9'), context))));
      expect(codes.filter((code) => code === 'sign_in_failed').length).toBeLessThanOrEqual(5);
      expect(new Set(codes)).toEqual(new Set(['sign_in_failed', 'rate_limit_exceeded']));
    });

    it('counts a whole IPv6 /64 as one', async () => {
      await setUp();
      const codes: string[] = [];
      for (let tries = 0; tries < 6; tries += 1)
        codes.push(await codeOf(signIn({ ...wrong, name: `n${tries}` }, from(`2001:db8::${tries + 1}`), context)));
      expect(codes.at(-1)).toBe('rate_limit_exceeded');
    });

    it('forgets the failures of an account with a success, and never counts one', async () => {
      await setUp();
      for (let round = 0; round < 3; round += 1) {
        for (let tries = 0; tries < 4; tries += 1)
          expect(await codeOf(signIn(wrong, from(`10.${round}.${tries}.1`), context))).toBe('sign_in_failed');
        expect(await codeOf(signIn(anna, from(`10.${round}.9.1`), context))).toBe('fine');
      }
      for (let times = 0; times < 8; times += 1) expect(await codeOf(signIn(anna, HOME, context))).toBe('fine');
    });
  });

  describe('and changing the password', () => {
    it('ends every session but the new one', async () => {
      const [first, second] = [await setUp(), await signIn(anna, HOME, context)];
      const user = await findUserByName(db, 'anna');
      if (!user) throw new Error('not reached');
      const third = await changePassword(user, { current: PASSWORD, next: 'another horse' }, HOME, context);
      expect([await whose(first), await whose(second), await whose(third)]).toEqual([null, null, 'anna']);
      expect(await codeOf(signIn(anna, HOME, context))).toBe('sign_in_failed');
      expect(await codeOf(signIn({ ...anna, password: 'another horse' }, HOME, context))).toBe('fine');
    });

    it('takes the current one, and not for many guesses', async () => {
      const session = await setUp();
      const user = await findUserByName(db, 'anna');
      if (!user) throw new Error('not reached');
      const guess = (current: string) => codeOf(changePassword(user, { current, next: 'another horse' }, HOME, context));
      for (let tries = 0; tries < 5; tries += 1) expect(await guess('wrong')).toBe('sign_in_failed');
      expect(await guess(PASSWORD)).toBe('rate_limit_exceeded');
      expect(await whose(session)).toBe('anna');
    });
  });

  it('is put off while Redis is away, and costs nobody a try', async () => {
    const other = await startTestRedis();
    const elsewhere = { ...context, redis: other.redis, sessions: new Sessions({ redis: other.redis, db }) };
    const token = (await setupToken(db)) ?? '';
    await other.stop();
    expect(await codeOf(finishSetup({ token, ...anna }, HOME, elsewhere))).toBe('store_unavailable');
    expect(await whose(await finishSetup({ token, ...anna }, HOME, context))).toBe('anna');
    for (let tries = 0; tries < 6; tries += 1) expect(await codeOf(signIn(wrong, HOME, elsewhere))).toBe('store_unavailable');
    elsewhere.sessions.close();
    expect(await codeOf(signIn(anna, HOME, context))).toBe('fine');
  });
});
