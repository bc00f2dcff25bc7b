import { modelKey } from '@lai/shared/model-name';
import type { LaiRedis } from '../redis/client.ts';
import { keys } from '../redis/keys.ts';
import type { LoadClaims } from './loads.ts';

/** A replica that died in the middle of a load must not bar the model for longer than this; one that lives renews it. */
const CLAIM_MS = 15_000;

export const redisLoadClaims = (redis: LaiRedis, replicaId: string): LoadClaims => ({
  claim: async (model) => {
    const key = keys.load(modelKey(model));
    if ((await redis.set(key, replicaId, 'PX', CLAIM_MS, 'NX')) === 'OK') return true;
    return (await redis.get(key)) === replicaId && (await redis.pexpire(key, CLAIM_MS)) === 1;
  },
  release: async (model) => {
    const key = keys.load(modelKey(model));
    if ((await redis.get(key)) === replicaId) await redis.del(key);
  },
});
