import { randomUUID } from 'node:crypto';
import type { PasswordChange, SetupRequest, SignInRequest, UserView } from '@lai/shared/admin-api';
import { CodedError } from '@lai/shared/errors';
import type { Logger } from 'pino';
import type { LaiRedis } from '../redis/client.ts';
import { keys } from '../redis/keys.ts';
import type { Database } from '../store/database.ts';
import { deleteSetting, readSetting, writeSetting } from '../store/settings.ts';
import { findUser, findUserByName, insertUser, isAnybodyThere, type UserRow, updateUser } from '../store/users.ts';
import { appendAudit } from './audit.ts';
import { networkOf } from './failure-limits.ts';
import { fromRedis } from './from-redis.ts';
import { hashPassword, isPassword } from './passwords.ts';
import { equalSecrets, randomHex, sha256 } from './secret.ts';
import type { Sessions } from './sessions.ts';

const SETUP = 'setup-token';
/** Failures of one account, or from one address, before one has to wait: first a minute, then two, four … up to a quarter of an hour. */
const FREE_TRIES = 5;
const WINDOW_MS = 15 * 60_000;
const FIRST_WAIT_MS = 60_000;
/** Where somebody has signed in lately, the failures of strangers elsewhere are not held against them. */
const KNOWN_MS = 30 * 24 * 3_600_000;

export interface Visit {
  readonly address: string;
  readonly browser: string;
  readonly nowMs: number;
}

export interface SignInContext {
  readonly db: Database;
  readonly redis: LaiRedis;
  readonly sessions: Sessions;
  readonly log: Logger;
}

export const userView = (row: UserRow): UserView => ({
  id: row.id,
  name: row.name,
  role: row.role,
  isEnabled: row.is_enabled === 1,
  createdAtMs: row.created_at_ms,
  lastSignInAtMs: row.last_sign_in_at_ms,
});

/** What stands behind the `#` of the setup URL, while there is nobody who could sign in; a new one at each start. */
export const setupToken = async (db: Database): Promise<string | null> => {
  if (await isAnybodyThere(db)) return null;
  const token = randomHex(16);
  await writeSetting(db, SETUP, sha256(token));
  return token;
};

/** Makes the first operator and opens a session. The token works once, and only while there is nobody. */
export const finishSetup = async (request: SetupRequest, visit: Visit, context: SignInContext): Promise<string> => {
  const { db, redis, sessions } = context;
  const isToken = async (from: Database) => equalSecrets((await readSetting(from, SETUP)) ?? '', sha256(request.token));
  const user = await tryOnce([counterOf('setup', visit)], redis, async () => {
    if (!(await isToken(db))) return undefined;
    const password_hash = await hashPassword(request.password);
    return db.transaction().execute(async (trx) => {
      // Two who come at once: one of them deletes the token.
      if (!(await isToken(trx)) || (await isAnybodyThere(trx)) || !(await forgetSetup(trx))) return undefined;
      const id = `user_${randomUUID()}`;
      await insertUser(trx, { id, name: request.name, password_hash, role: 'admin', created_at_ms: visit.nowMs });
      const detail = { name: request.name, role: 'admin' };
      await appendAudit(trx, { ...entry('setup', visit), action: 'user.create', object: id, detail });
      return findUser(trx, id);
    });
  });
  if (!user) throw new CodedError('sign_in_failed', { message: 'This setup link was used, or a newer one was made.' });
  return sessions.begin(user, visit);
};

/** Once there is somebody, no link that was printed before opens anything. */
export const forgetSetup = (db: Database): Promise<boolean> => deleteSetting(db, SETUP);

/** The secret of a new session. The same words for an unknown name, a wrong password and somebody who was disabled. */
export const signIn = async (request: SignInRequest, visit: Visit, context: SignInContext): Promise<string> => {
  const { db, redis, sessions, log } = context;
  const name = request.name.trim().toLowerCase();
  const account = counterOf(`account ${name}`);
  const place = keys.knownPlace(sha256(`${name} ${networkOf(visit.address)}`));
  const isKnownPlace = (await fromRedis(redis.exists(place))) === 1;
  const user = await tryOnce([counterOf('address', visit), ...(isKnownPlace ? [] : [account])], redis, async () => {
    const found = await findUserByName(db, name);
    const isRight = await isPassword(request.password, found?.password_hash);
    return isRight && found?.is_enabled === 1 ? found : undefined;
  });
  if (user && request.stay && user.role !== 'viewer')
    throw new CodedError('permission_denied', {
      message: 'Only viewers stay signed in for 30 days; a session that may change something ends when nobody uses it.',
    });
  if (!user) {
    // Without the name: people type passwords there.
    log.warn({ from: visit.address }, 'a sign-in failed');
    throw new CodedError('sign_in_failed');
  }
  await fromRedis(redis.del(account));
  await fromRedis(redis.set(place, '1', 'PX', KNOWN_MS));
  await db.transaction().execute(async (trx) => {
    await updateUser(trx, user.id, { last_sign_in_at_ms: visit.nowMs });
    await appendAudit(trx, { ...entry(user.name, visit), action: 'session.begin', object: user.id });
  });
  return sessions.begin(user, visit, request.stay ? 'stays' : 'idles');
};

/** The secret of the one session that is left: whoever changes a password wants everybody else out. */
export const changePassword = async (
  user: UserRow,
  change: PasswordChange,
  visit: Visit,
  context: SignInContext,
): Promise<string> => {
  const { db, redis, sessions } = context;
  const isRight = await tryOnce(
    [counterOf(`password ${user.id}`)],
    redis,
    async () => (await isPassword(change.current, user.password_hash)) || undefined,
  );
  if (!isRight) throw new CodedError('sign_in_failed', { message: 'The current password is wrong.' });
  const password_hash = await hashPassword(change.next);
  const changed = await db.transaction().execute(async (trx) => {
    await updateUser(trx, user.id, { password_hash });
    await appendAudit(trx, { ...entry(user.name, visit), action: 'user.password', object: user.id });
    return findUser(trx, user.id);
  });
  if (!changed) throw new CodedError('sign_in_failed');
  await sessions.end(user.id);
  return sessions.begin(changed, visit);
};

const entry = (name: string, { address, nowMs }: Visit) => ({ atMs: nowMs, actor: { name, origin: address } });

const counterOf = (what: string, visit?: Visit): string =>
  keys.signInFailures(sha256(visit ? `${what} ${networkOf(visit.address)}` : what));

/**
 * One try that counts as a failure from the beginning, so that a hundred at once are not a hundred tries; it is taken back unless it comes
 * to nothing. Throws where there were too many before.
 */
const tryOnce = async <T>(
  counters: readonly string[],
  redis: LaiRedis,
  attempt: () => Promise<T | undefined>,
): Promise<T | undefined> => {
  const counted: string[] = [];
  let isFailure = false;
  try {
    for (const counter of counters) {
      const waitMs = await count(counter, redis);
      if (waitMs > 0)
        throw new CodedError('rate_limit_exceeded', {
          message: 'Too many tries failed. Wait as long as Retry-After says.',
          retryAfterSeconds: Math.ceil(waitMs / 1_000),
        });
      counted.push(counter);
    }
    const result = await attempt();
    isFailure = result === undefined;
    return result;
  } finally {
    if (!isFailure) for (const counter of counted) await fromRedis(redis.decr(counter));
  }
};

/** How long to wait for another try, ms; when it is not positive, this was one. */
const count = async (counter: string, redis: LaiRedis): Promise<number> => {
  const [, tries, leftMs] = await fromRedis(
    Promise.all([redis.set(counter, 0, 'PX', WINDOW_MS, 'NX'), redis.incr(counter), redis.pttl(counter)]),
  );
  const waitMs = waitAfter(tries - 1) - (WINDOW_MS - leftMs);
  if (waitMs > 0) await fromRedis(redis.decr(counter));
  else await fromRedis(redis.pexpire(counter, WINDOW_MS));
  return waitMs;
};

/** Pure. Nobody is locked out for good: somebody who wants to keep an owner out must not be able to. */
export const waitAfter = (failures: number): number =>
  failures < FREE_TRIES ? 0 : Math.min(WINDOW_MS, FIRST_WAIT_MS * 2 ** (failures - FREE_TRIES));
