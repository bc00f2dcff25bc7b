import { CodedError } from '@lai/shared/errors';

/** Redis that is away, or does not answer in time, is nobody's mistake: whoever asked is told to come back. */
export const fromRedis = <T>(answer: Promise<T>): Promise<T> =>
  answer.catch((cause: unknown) => {
    throw new CodedError('store_unavailable', { retryAfterSeconds: 2, cause });
  });
