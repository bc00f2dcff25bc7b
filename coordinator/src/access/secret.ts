import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** 128 random bits: nothing to guess, so a plain hash is enough to store them. */
export const randomHex = (bytes: number): string => randomBytes(bytes).toString('hex');

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

export const equalSecrets = (a: string, b: string): boolean => {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
};
