import { generateIdentityKeys, type IdentityKeys } from '@lai/shared/ed25519';
import type { Database } from '../store/database.ts';
import { keepSetting } from '../store/settings.ts';

/**
 * The key pair that nodes pin when they enrol. Made once per database, so that replicas which share one are one coordinator to the
 * fleet.
 */
export const coordinatorIdentity = async (db: Database): Promise<IdentityKeys> =>
  JSON.parse(await keepSetting(db, 'coordinator-identity', JSON.stringify(await generateIdentityKeys())));
