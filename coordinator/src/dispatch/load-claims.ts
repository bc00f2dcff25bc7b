import { withoutLatest } from '@lai/shared/node';
import type { LaiRedis } from '../redis/client.ts';
import { keys } from '../redis/keys.ts';
import type { LoadClaims } from './loads.ts';

/** A load may take its time; a replica that died in the middle of asking must not bar the model for longer than this. */
const CLAIM_MS = 120_000;

export const redisLoadClaims = (redis: LaiRedis, replicaId: string): LoadClaims => ({
  claim: async (model) => (await redis.set(keys.load(withoutLatest(model)), replicaId, 'PX', CLAIM_MS, 'NX')) === 'OK',
  release: async (model) => {
    const key = keys.load(withoutLatest(model));
    if ((await redis.get(key)) === replicaId) await redis.del(key);
  },
});
