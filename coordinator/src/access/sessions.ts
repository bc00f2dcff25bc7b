import type { SessionView } from '@lai/shared/admin-api';
import { z } from 'zod';
import type { LaiRedis } from '../redis/client.ts';
import { keys } from '../redis/keys.ts';
import type { Database } from '../store/database.ts';
import { findUser, type UserRow } from '../store/users.ts';
import { fromRedis } from './from-redis.ts';
import { InUse, type StillMay, type Use } from './in-use.ts';
import type { Principal, Scope } from './principal.ts';
import { randomHex, sha256 } from './secret.ts';

const MINUTE_MS = 60_000;
const IDLE_MS = 30 * MINUTE_MS;
const LONGEST_MS = 12 * 60 * MINUTE_MS;
/** Of a viewer's screen on the wall. */
const STAY_MS = 30 * 24 * 60 * MINUTE_MS;
/** How exactly it is known when a session was used last. */
const TOUCH_MS = MINUTE_MS;
/** Of one person; the oldest ends when there is one more. */
const MAX_SESSIONS = 20;
const RECHECK_MS = 5_000;
const SECRET = /^[0-9a-f]{32}$/;

const Stored = z.object({
  userId: z.string(),
  address: z.string(),
  browser: z.string(),
  startedAtMs: z.number(),
  lastSeenAtMs: z.number(),
  /** Changes with the password: sessions of the old one are worth nothing. */
  passwordMark: z.string(),
  /** Absent from sessions of before: they idle. */
  lasting: z.enum(['idles', 'stays']).default('idles'),
});
type Stored = z.infer<typeof Stored>;

/** `stays` is for those who may look and nothing else. */
export type Lasting = Stored['lasting'];
const LIMITS: Record<Lasting, { readonly idleMs: number; readonly longestMs: number }> = {
  idles: { idleMs: IDLE_MS, longestMs: LONGEST_MS },
  stays: { idleMs: STAY_MS, longestMs: STAY_MS },
};

export interface Session {
  readonly id: string;
  readonly digest: string;
  readonly principal: Principal;
  readonly user: UserRow;
}

const SCOPES_OF: Record<UserRow['role'], readonly Scope[]> = { admin: ['inference', 'read', 'admin'], viewer: ['read'] };

/**
 * People who have signed in. What the browser holds is 128 random bits; Redis knows their hash, for 30 minutes after the last use and 12
 * hours in all, or for 30 days where it only looks. Single writer of what is in use here.
 */
export class Sessions {
  readonly #redis: LaiRedis;
  readonly #db: Database;
  /** By the digest of the session's secret. */
  readonly #inUse = new InUse();
  readonly #timer: NodeJS.Timeout;
  /** Goes up when what was read before may no longer be true. */
  #revision = 0;

  constructor(options: { redis: LaiRedis; db: Database }) {
    this.#redis = options.redis;
    this.#db = options.db;
    this.#timer = setInterval(() => void this.recheck(Date.now()).catch(() => {}), RECHECK_MS);
    this.#timer.unref();
  }

  /** A new secret each time, so that nobody can have planted it before. */
  async begin(
    user: UserRow,
    visit: { address: string; browser: string; nowMs: number },
    lasting: Lasting = 'idles',
  ): Promise<string> {
    const secret = randomHex(16);
    const digest = sha256(secret);
    const { address, nowMs } = visit;
    const stored: Stored = {
      ...{ userId: user.id, address, browser: visit.browser.slice(0, 200), startedAtMs: nowMs, lastSeenAtMs: nowMs },
      ...{ passwordMark: markOf(user), lasting },
    };
    const { idleMs, longestMs } = LIMITS[lasting];
    const mine = keys.userSessions(user.id);
    // Listed before it opens anything, so that there is none that cannot be found and ended.
    await fromRedis(this.#redis.zadd(mine, nowMs + longestMs, digest));
    await fromRedis(this.#redis.zremrangebyscore(mine, '-inf', nowMs));
    await fromRedis(this.#redis.pexpire(mine, STAY_MS));
    for (const oldest of await fromRedis(this.#redis.zrange(mine, 0, `-${MAX_SESSIONS + 1}`)))
      await this.#delete(user.id, oldest);
    await fromRedis(this.#redis.set(keys.session(digest), JSON.stringify(stored), 'PX', idleMs));
    return secret;
  }

  async find(secret: string, nowMs: number): Promise<Session | null> {
    if (!SECRET.test(secret)) return null;
    for (;;) {
      const revision = this.#revision;
      const session = await this.#look(sha256(secret), nowMs, true);
      // Ended while we looked: what we read may be from before.
      if (revision === this.#revision) return session;
    }
  }

  use(digest: string, stillMay: StillMay): Use {
    return this.#inUse.begin(digest, stillMay);
  }

  /** Newest use first. */
  async list(userId: string, current: string | null, nowMs: number): Promise<SessionView[]> {
    const views: SessionView[] = [];
    for (const digest of await fromRedis(this.#redis.zrange(keys.userSessions(userId), 0, '-1'))) {
      const stored = await this.#read(digest);
      if (!stored || isOver(stored, nowMs)) continue;
      const { address, browser, startedAtMs, lastSeenAtMs } = stored;
      views.push({ id: idOf(digest), userId, address, browser, startedAtMs, lastSeenAtMs, isCurrent: digest === current });
    }
    return views.sort((a, b) => b.lastSeenAtMs - a.lastSeenAtMs);
  }

  /** All of a user's sessions, or the one with this id. The number of those that ended. */
  async end(userId: string, id?: string): Promise<number> {
    let ended = 0;
    for (const digest of await fromRedis(this.#redis.zrange(keys.userSessions(userId), 0, '-1')))
      if (id === undefined || idOf(digest) === id) ended += await this.#delete(userId, digest);
    return ended;
  }

  /** Stops what a session that is over was doing. Fails while Redis is away: nothing is known then, and nothing is stopped. */
  async recheck(nowMs: number): Promise<void> {
    this.#revision += 1;
    await this.#inUse.recheck(async (digest) => (await this.#look(digest, nowMs, false))?.principal ?? null);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #look(digest: string, nowMs: number, isUse: boolean): Promise<Session | null> {
    const stored = await this.#read(digest);
    if (!stored || isOver(stored, nowMs)) return null;
    const user = await findUser(this.#db, stored.userId);
    if (user?.is_enabled !== 1 || markOf(user) !== stored.passwordMark) return null;
    // Who may change something since is held to the short limits from now on.
    const lasting = user.role === 'viewer' ? stored.lasting : 'idles';
    if (isOver({ ...stored, lasting }, nowMs)) return null;
    if (isUse && nowMs - stored.lastSeenAtMs >= TOUCH_MS) {
      const { idleMs, longestMs } = LIMITS[lasting];
      const ttlMs = Math.min(idleMs, stored.startedAtMs + longestMs - nowMs);
      await fromRedis(
        this.#redis.set(keys.session(digest), JSON.stringify({ ...stored, lastSeenAtMs: nowMs }), 'PX', ttlMs, 'XX'),
      );
    }
    const principal = { keyId: user.id, name: user.name, scopes: SCOPES_OF[user.role], models: null };
    return { id: idOf(digest), digest, user, principal };
  }

  async #read(digest: string): Promise<Stored | null> {
    const text = await fromRedis(this.#redis.get(keys.session(digest)));
    return text === null ? null : Stored.parse(JSON.parse(text));
  }

  async #delete(userId: string, digest: string): Promise<number> {
    const deleted = await fromRedis(this.#redis.del(keys.session(digest)));
    await fromRedis(this.#redis.zrem(keys.userSessions(userId), digest));
    return deleted;
  }
}

const isOver = ({ startedAtMs, lastSeenAtMs, lasting }: Stored, nowMs: number): boolean =>
  nowMs - startedAtMs >= LIMITS[lasting].longestMs || nowMs - lastSeenAtMs >= LIMITS[lasting].idleMs + TOUCH_MS;

const idOf = (digest: string): string => digest.slice(0, 16);
const markOf = ({ password_hash }: UserRow): string => sha256(password_hash).slice(0, 16);
