import { Explanation } from '@lai/shared/admin-api';
import { CodedError } from '@lai/shared/errors';
import type { Database } from '../../store/database.ts';
import { findExplanation } from '../../store/explanations.ts';

/** Why a request went where it went. Somebody else's request is not there, as one that never was. */
export const readExplanation = async (db: Database, requestId: string, keyId: string | null): Promise<Explanation> => {
  const json = await findExplanation(db, requestId);
  const explanation = json === undefined ? null : Explanation.parse(JSON.parse(json));
  if (explanation && (keyId === null || explanation.keyId === keyId)) return explanation;
  throw new CodedError('entry_not_found', { message: 'Nothing is known of such a request; reasons are kept for a day.' });
};
