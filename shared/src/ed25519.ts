/**
 * Node and coordinator identities: Ed25519 over Web Crypto, which Node and browsers both have. Keys and signatures travel as base64:
 * public keys as their 32 raw bytes, private keys as PKCS #8.
 */
const ALGORITHM = 'Ed25519';

export interface IdentityKeys {
  readonly publicKey: string;
  readonly privateKey: string;
}

export const generateIdentityKeys = async (): Promise<IdentityKeys> => {
  const pair = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  if (!('publicKey' in pair)) throw new Error('Ed25519 is not available here');
  return {
    publicKey: toBase64(new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey))),
    privateKey: toBase64(new Uint8Array(await crypto.subtle.exportKey('pkcs8', pair.privateKey))),
  };
};

export const signWith = async (privateKey: string, bytes: Uint8Array): Promise<string> => {
  const key = await crypto.subtle.importKey('pkcs8', fromBase64(privateKey), ALGORITHM, false, ['sign']);
  return toBase64(new Uint8Array(await crypto.subtle.sign(ALGORITHM, key, copyOf(bytes))));
};

/** False for a wrong signature and for anything that is no key or signature at all. */
export const isSignedBy = async (publicKey: string, signature: string, bytes: Uint8Array): Promise<boolean> => {
  try {
    const key = await crypto.subtle.importKey('raw', fromBase64(publicKey), ALGORITHM, false, ['verify']);
    return await crypto.subtle.verify(ALGORITHM, key, fromBase64(signature), copyOf(bytes));
  } catch {
    return false;
  }
};

/** 128 bits that stand for a public key, as hex: enough that nobody finds another key for them. */
export const keyFingerprint = async (publicKey: string): Promise<string> => {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', fromBase64(publicKey)));
  return Array.from(digest.subarray(0, 16), (byte) => byte.toString(16).padStart(2, '0')).join('');
};

const CONSONANTS = 'bdfghjklmnprstvz';
const VOWELS = 'aiou';

/**
 * The first 64 bits of a fingerprint as four words that can be read out (16 bits each: consonant, vowel, consonant, vowel, consonant;
 * the scheme is Wilkerson's proquints).
 */
export const fingerprintWords = (fingerprint: string): string =>
  Array.from({ length: 4 }, (_, index) => word(Number.parseInt(fingerprint.slice(index * 4, index * 4 + 4), 16))).join('-');

const word = (bits: number): string =>
  [
    CONSONANTS[(bits >> 12) & 15],
    VOWELS[(bits >> 10) & 3],
    CONSONANTS[(bits >> 6) & 15],
    VOWELS[(bits >> 4) & 3],
    CONSONANTS[bits & 15],
  ].join('');

export const randomBase64 = (bytes: number): string => toBase64(crypto.getRandomValues(new Uint8Array(bytes)));

export const toBase64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes));

export const fromBase64 = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

/** Web Crypto wants bytes over a plain ArrayBuffer. */
const copyOf = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes);
