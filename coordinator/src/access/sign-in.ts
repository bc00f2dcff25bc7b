import { randomUUID } from 'node:crypto';
import type { SetupRequest, SignInRequest, UserView } from '@lai/shared/admin-api';
import { CodedError } from '@lai/shared/errors';
import type { Logger } from 'pino';
import type { LaiRedis } from '../redis/client.ts';
import { keys } from '../redis/keys.ts';
import type { Database } from '../store/database.ts';
import { deleteSetting, readSetting, writeSetting } from '../store/settings.ts';
import { findUser, findUserByName, insertUser, isAnybodyThere, type UserRow, updateUser } from '../store/users.ts';
import { appendAudit } from './audit.ts';
import { hashPassword, isPassword } from './passwords.ts';
import { equalSecrets, randomHex, sha256 } from './secret.ts';
import type { Sessions } from './sessions.ts';

const SETUP = 'setup-token';
/** Failures of one account, or from one address, before one has to wait: first a minute, then two, four … up to a quarter of an hour. */
const FREE_TRIES = 5;
const WINDOW_MS = 15 * 60_000;
const FIRST_WAIT_MS = 60_000;

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
  const hash = await hashPassword(request.password);
  const user = await context.db.transaction().execute(async (trx) => {
    const expected = await readSetting(trx, SETUP);
    if (expected === null || !equalSecrets(expected, sha256(request.token)) || (await isAnybodyThere(trx))) return undefined;
    // Two who come at once: one of them deletes the token.
    if (!(await deleteSetting(trx, SETUP))) return undefined;
    const id = `user_${randomUUID()}`;
    await insertUser(trx, { id, name: request.name, password_hash: hash, role: 'admin', created_at_ms: visit.nowMs });
    await appendAudit(trx, {
      atMs: visit.nowMs,
      actor: { name: 'setup', origin: visit.address },
      action: 'user.create',
      object: id,
      detail: { name: request.name, role: 'admin' },
    });
    return findUser(trx, id);
  });
  if (!user) throw new CodedError('sign_in_failed', { message: 'This setup link was used, or a newer one was made.' });
  return context.sessions.begin(user, visit);
};

/** The secret of a new session. The same words for an unknown name, a wrong password and somebody who was disabled. */
export const signIn = async (request: SignInRequest, visit: Visit, context: SignInContext): Promise<string> => {
  const name = request.name.trim().toLowerCase();
  const counters = [`account ${name}`, `address ${visit.address}`].map((who) => keys.signInFailures(sha256(who)));
  await refuseTooMany(counters, context.redis);
  const user = await findUserByName(context.db, name);
  const isRight = await isPassword(request.password, user?.password_hash);
  if (!user || !isRight || user.is_enabled !== 1) {
    await countFailure(counters, context.redis);
    context.log.warn({ from: visit.address }, 'a sign-in failed');
    throw new CodedError('sign_in_failed');
  }
  await context.redis.del(counters[0] ?? '');
  await updateUser(context.db, user.id, { last_sign_in_at_ms: visit.nowMs });
  await appendAudit(context.db, {
    atMs: visit.nowMs,
    actor: { name: user.name, origin: visit.address },
    action: 'session.begin',
    object: user.id,
  });
  return context.sessions.begin(user, visit);
};

/** Every session but this one ends: whoever changes a password wants the others out. */
export const changePassword = async (
  user: UserRow,
  change: { current: string; next: string; digest: string },
  visit: Visit,
  context: SignInContext,
): Promise<string> => {
  const counters = [keys.signInFailures(sha256(`account ${user.name}`))];
  await refuseTooMany(counters, context.redis);
  if (!(await isPassword(change.current, user.password_hash))) {
    await countFailure(counters, context.redis);
    throw new CodedError('sign_in_failed');
  }
  await updateUser(context.db, user.id, { password_hash: await hashPassword(change.next) });
  await appendAudit(context.db, {
    atMs: visit.nowMs,
    actor: { name: user.name, origin: visit.address },
    action: 'user.password',
    object: user.id,
  });
  await context.sessions.end(user.id);
  const changed = await findUser(context.db, user.id);
  if (!changed) throw new CodedError('sign_in_failed');
  return context.sessions.begin(changed, visit);
};

const refuseTooMany = async (counters: readonly string[], redis: LaiRedis): Promise<void> => {
  for (const counter of counters) {
    const [failures, leftMs] = await Promise.all([redis.get(counter), redis.pttl(counter)]);
    const waitMs = waitAfter(Number(failures ?? 0)) - (WINDOW_MS - leftMs);
    if (waitMs > 0 && leftMs > 0)
      throw new CodedError('rate_limit_exceeded', {
        message: 'Too many sign-ins failed. Wait as long as Retry-After says.',
        retryAfterSeconds: Math.ceil(waitMs / 1_000),
      });
  }
};

/** Pure. Nobody is locked out for good: somebody who wants to keep an owner out must not be able to. */
export const waitAfter = (failures: number): number =>
  failures < FREE_TRIES ? 0 : Math.min(WINDOW_MS, FIRST_WAIT_MS * 2 ** (failures - FREE_TRIES));

const countFailure = async (counters: readonly string[], redis: LaiRedis): Promise<void> => {
  for (const counter of counters) {
    await redis.incr(counter);
    await redis.pexpire(counter, WINDOW_MS);
  }
};
