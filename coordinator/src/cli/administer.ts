import { userInfo } from 'node:os';
import { pino } from 'pino';
import type { Administration } from '../access/administration.ts';
import { coordinatorIdentity } from '../access/coordinator-identity.ts';
import { storeAdministration } from '../access/store-administration.ts';
import { databaseLocation } from '../config.ts';
import { databasePlace, openDatabase, placeName } from '../store/database.ts';
import type { Place } from './place.ts';
import { remoteAdministration } from './remote-administration.ts';

const ANSWER_LIMIT_MS = 1_500;

/**
 * Runs one command of an operator: through the coordinator where one answers, so that every replica hears of it at once; on the
 * database itself where none does and we may, so that a fleet can be prepared and repaired while it is down.
 */
export const administer = async <T>(place: Place, use: (administration: Administration) => Promise<T>): Promise<T> => {
  const { url, key } = place;
  const isElsewhere = Boolean(process.env['LAI_URL']);
  if (isElsewhere && !key) throw new Error(`There is no API key for ${url}. Set LAI_API_KEY.`);
  // Of one elsewhere only it can say why it does not answer.
  if (key && (isElsewhere || (await answers(url)))) return use(remoteAdministration({ url, key }));
  const location = databaseLocation(place.config);
  process.stderr.write(
    `No coordinator answers at ${url}, so this works on its database (${placeName(databasePlace(location))}). A coordinator that starts on it, or runs elsewhere on it, obeys.\n`,
  );
  const db = await openDatabase(location);
  try {
    const { publicKey } = await coordinatorIdentity(db);
    const actor = { name: `${userName()} on this machine`, origin: 'command line' };
    return await use(
      storeAdministration({ db, coordinatorKey: publicKey, log: pino({ level: 'silent' }), announce: () => {} }, actor),
    );
  } finally {
    await db.destroy();
  }
};

const answers = async (url: string): Promise<boolean> => {
  try {
    return (await fetch(`${url}/livez`, { signal: AbortSignal.timeout(ANSWER_LIMIT_MS), redirect: 'error' })).ok;
  } catch {
    return false;
  }
};

const userName = (): string => {
  try {
    return userInfo().username;
  } catch {
    return 'somebody';
  }
};
