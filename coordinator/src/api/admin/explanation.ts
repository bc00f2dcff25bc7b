import type { Explanation } from '@lai/shared/admin-api';
import { CodedError } from '@lai/shared/errors';

/** What is kept of why requests went where they went. */
export interface Explanations {
  find(requestId: string): Promise<Explanation | null>;
}

/** Why a request went where it went. Somebody else's request is not there, as one that never was. */
export const readExplanation = async (known: Explanations, requestId: string, keyId: string | null): Promise<Explanation> => {
  const explanation = await known.find(requestId);
  if (explanation && (keyId === null || explanation.keyId === keyId)) return explanation;
  throw new CodedError('entry_not_found', { message: 'Nothing is known of such a request; reasons are kept for a day.' });
};
