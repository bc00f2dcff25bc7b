import type { LaiRedis } from '../redis/client.ts';
import { keys } from '../redis/keys.ts';
import type { StrikeStore } from './quarantine.ts';

export const redisStrikeStore = (redis: LaiRedis): StrikeStore => ({
  add: ({ id, fingerprint, change }, ttlMs) =>
    redis.addStrike(keys.strikes, keys.strikesUntil, keys.strikesTold, fingerprint, change, ttlMs, id),
  all: async () => {
    // The script that dates them goes by Redis's clock.
    const [seconds, microseconds] = await redis.time();
    const nowMs = Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000);
    const live = new Set(await redis.zrangebyscore(keys.strikesUntil, String(nowMs), '+inf'));
    const pairs = await redis.zrange(keys.strikes, 0, '-1', 'WITHSCORES');
    const counts = new Map<string, number>();
    for (let at = 0; at + 1 < pairs.length; at += 2) {
      const [fingerprint = '', count] = pairs.slice(at, at + 2);
      if (live.has(fingerprint)) counts.set(fingerprint, Number(count));
    }
    return counts;
  },
});
