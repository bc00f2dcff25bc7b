import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { keys } from '../redis/keys.ts';
import { startTestRedis } from '../redis/test-redis.ts';
import { type Database, openDatabase } from '../store/database.ts';
import { deleteUser, findUser, insertUser, type UserRow, updateUser } from '../store/users.ts';
import { sha256 } from './secret.ts';
import { Sessions } from './sessions.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const ANNA = 'user_anna';

describe('a session', () => {
  let redis: Awaited<ReturnType<typeof startTestRedis>>;
  let db: Database;
  let sessions: Sessions;
  let anna: UserRow;
  const nowMs = Date.now();

  beforeAll(async () => {
    redis = await startTestRedis();
    db = await openDatabase(':memory:');
    sessions = new Sessions({ redis: redis.redis, db });
  });
  afterAll(async () => {
    sessions?.close();
    await db?.destroy();
    await redis?.stop();
  });
  beforeEach(async () => {
    await redis.redis.flushall();
    await deleteUser(db, ANNA);
    await insertUser(db, { id: ANNA, name: 'anna', password_hash: 'one', role: 'admin', created_at_ms: 1 });
    const found = await findUser(db, ANNA);
    if (!found) throw new Error('not reached');
    anna = found;
  });

  const begin = (atMs = nowMs, address = '::1') => sessions.begin(anna, { address, browser: 'Firefox', nowMs: atMs });
  const isOpen = async (secret: string, atMs = nowMs) => (await sessions.find(secret, atMs)) !== null;

  it('lets in who began it, with the rights of their role', async () => {
    const found = await sessions.find(await begin(), nowMs);
    expect(found?.principal).toEqual({ keyId: ANNA, name: 'anna', scopes: ['inference', 'read', 'admin'], models: null });
    await updateUser(db, ANNA, { role: 'viewer' });
    expect((await sessions.find(await begin(), nowMs))?.principal.scopes).toEqual(['read']);
  });

  it('has a new secret each time, of which Redis knows the hash', async () => {
    const secrets = [await begin(), await begin()];
    expect(new Set(secrets).size).toBe(2);
    const stored = (await redis.redis.keys('*')).join(' ');
    for (const secret of secrets) {
      expect(secret).toMatch(/^[0-9a-f]{32}$/);
      expect(stored).not.toContain(secret);
      expect(await redis.redis.get(keys.session(sha256(secret)))).not.toContain(secret);
      expect(await isOpen(sha256(secret).slice(0, 32))).toBe(false);
    }
  });

  it.each(['', 'x', '0'.repeat(32), '0'.repeat(33), '{user:anna}', '../x'])('is not opened by %j', async (secret) => {
    await begin();
    expect(await isOpen(secret)).toBe(false);
  });

  it('is over half an hour after its last use', async () => {
    const secret = await begin();
    expect(await isOpen(secret, nowMs + 29 * MINUTE_MS)).toBe(true);
    expect(await isOpen(secret, nowMs + 58 * MINUTE_MS)).toBe(true);
    expect(await isOpen(secret, nowMs + 90 * MINUTE_MS)).toBe(false);
  });

  it('is over after twelve hours, however much it was used', async () => {
    const secret = await begin();
    for (let atMs = nowMs; atMs < nowMs + 12 * HOUR_MS; atMs += 20 * MINUTE_MS) expect(await isOpen(secret, atMs)).toBe(true);
    expect(await isOpen(secret, nowMs + 12 * HOUR_MS)).toBe(false);
  });

  it('is forgotten by Redis itself', async () => {
    const secret = await begin();
    const leftMs = await redis.redis.pttl(keys.session(sha256(secret)));
    expect(leftMs).toBeGreaterThan(29 * MINUTE_MS);
    expect(leftMs).toBeLessThanOrEqual(30 * MINUTE_MS);
    expect(await redis.redis.pttl(keys.userSessions(ANNA))).toBeGreaterThan(11 * HOUR_MS);
  });

  it('is listed, the one that asks among them, and can be ended by its id', async () => {
    const phone = await begin(nowMs - MINUTE_MS, '10.0.0.2');
    const desk = await begin();
    const current = await sessions.find(desk, nowMs);
    const list = await sessions.list(ANNA, current?.digest ?? '', nowMs);
    expect(list.map(({ address, isCurrent }) => [address, isCurrent])).toEqual([
      ['::1', true],
      ['10.0.0.2', false],
    ]);
    expect(await sessions.end(ANNA, list[1]?.id)).toBe(1);
    expect([await isOpen(phone), await isOpen(desk)]).toEqual([false, true]);
    expect(await sessions.list(ANNA, null, nowMs)).toHaveLength(1);
    expect(await sessions.end(ANNA, 'nothing')).toBe(0);
  });

  it('of somebody else is neither listed nor ended', async () => {
    const secret = await begin();
    const { digest = '' } = (await sessions.find(secret, nowMs)) ?? {};
    expect(await sessions.list('user_bert', null, nowMs)).toEqual([]);
    expect(await sessions.end('user_bert', digest.slice(0, 16))).toBe(0);
    expect(await isOpen(secret)).toBe(true);
  });

  it('makes room for one more: the oldest of twenty ends', async () => {
    const secrets: string[] = [];
    for (let at = 0; at < 22; at += 1) secrets.push(await begin(nowMs + at));
    const open = await Promise.all(secrets.map((secret) => isOpen(secret)));
    expect(open).toEqual([false, false, ...Array(20).fill(true)]);
    expect(await sessions.list(ANNA, null, nowMs)).toHaveLength(20);
  });

  it.each([
    ['another password', () => updateUser(db, ANNA, { password_hash: 'two' })],
    ['being disabled', () => updateUser(db, ANNA, { is_enabled: 0 })],
    ['being removed', () => deleteUser(db, ANNA)],
    ['its end', () => sessions.end(ANNA)],
  ])('stops with %s, and so does what it was doing', async (_, happen) => {
    const secret = await begin();
    const { digest = '' } = (await sessions.find(secret, nowMs)) ?? {};
    const use = sessions.use(digest, () => true);
    await sessions.recheck(nowMs);
    expect(use.signal.aborted).toBe(false);
    await happen();
    await sessions.recheck(nowMs);
    expect(use.signal.aborted).toBe(true);
    expect(await isOpen(secret)).toBe(false);
    use.end();
  });

  it('stops what its person may do no longer, and goes on with the rest', async () => {
    const { digest = '' } = (await sessions.find(await begin(), nowMs)) ?? {};
    const [managing, looking] = (['admin', 'read'] as const).map((scope) =>
      sessions.use(digest, ({ scopes }) => scopes.includes(scope)),
    );
    await updateUser(db, ANNA, { role: 'viewer' });
    await sessions.recheck(nowMs);
    expect([managing?.signal.aborted, looking?.signal.aborted]).toEqual([true, false]);
    managing?.end();
    looking?.end();
  });

  it('of a screen on the wall lasts for 30 days unused, until its person may change something', async () => {
    const days = (count: number) => nowMs + count * 24 * 3_600_000;
    await updateUser(db, ANNA, { role: 'viewer' });
    const secret = await sessions.begin(anna, { address: '', browser: '', nowMs }, 'stays');
    expect(await sessions.find(secret, days(29))).not.toBeNull();
    await updateUser(db, ANNA, { role: 'admin' });
    expect(await sessions.find(secret, days(29) + 3_600_000)).toBeNull();
    await updateUser(db, ANNA, { role: 'viewer' });
    expect(await sessions.find(secret, days(31))).toBeNull();
  });

  it('that ends while it is being looked up opens nothing', async () => {
    const secret = await begin();
    const looking = sessions.find(secret, nowMs);
    const ending = redis.redis.del(keys.session(sha256(secret)));
    await sessions.recheck(nowMs);
    expect([await looking, await ending]).toEqual([null, 1]);
  });

  it('is of no use while Redis is away, and nothing is stopped because of that', async () => {
    const other = await startTestRedis();
    const elsewhere = new Sessions({ redis: other.redis, db });
    const secret = await elsewhere.begin(anna, { address: '', browser: '', nowMs });
    const { digest = '' } = (await elsewhere.find(secret, nowMs)) ?? {};
    const use = elsewhere.use(digest, () => true);
    await other.stop();
    await expect(elsewhere.find(secret, nowMs)).rejects.toMatchObject({ code: 'store_unavailable' });
    await elsewhere.recheck(nowMs).catch(() => {});
    expect(use.signal.aborted).toBe(false);
    elsewhere.close();
  });
});
