import { createHash } from 'node:crypto';

/** Groups and accounts by number, because their names differ by language. */
export const SYSTEM = 'S-1-5-18';
export const ADMINISTRATORS = 'S-1-5-32-544';
/** Whoever is logged in at the screen, or by remote desktop. */
export const INTERACTIVE = 'S-1-5-4';

/** Pure. The account `NT SERVICE\<name>`, which every service has: its number is made of its name. `sc showsid` tells the same. */
export const serviceSid = (name: string): string => {
  const hash = createHash('sha1').update(Buffer.from(name.toUpperCase(), 'utf16le')).digest();
  const parts = [0, 4, 8, 12, 16].map((at) => hash.readUInt32LE(at));
  return `S-1-5-80-${parts.join('-')}`;
};
