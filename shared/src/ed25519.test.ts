import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  fingerprintWords,
  fromBase64,
  generateIdentityKeys,
  isSignedBy,
  keyFingerprint,
  randomBase64,
  signWith,
  toBase64,
} from './ed25519.ts';

const message = new TextEncoder().encode('node_1\nnonce');
const changed = (bytes: Uint8Array, at: number): Uint8Array => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte));

describe('an identity', () => {
  it('has a public key of 32 raw bytes and is never made twice', async () => {
    const [a, b] = await Promise.all([generateIdentityKeys(), generateIdentityKeys()]);
    expect(fromBase64(a.publicKey)).toHaveLength(32);
    expect(a.publicKey).not.toBe(b.publicKey);
    expect(a.privateKey).not.toBe(b.privateKey);
  });

  it('signs what its public key confirms', async () => {
    const { publicKey, privateKey } = await generateIdentityKeys();
    expect(await isSignedBy(publicKey, await signWith(privateKey, message), message)).toBe(true);
  });

  it('signs as RFC 8032 wants it (7.1, test 2)', async () => {
    const hex = (text: string) => toBase64(Uint8Array.from(Buffer.from(text, 'hex')));
    const pkcs8 = '302e020100300506032b657004220420';
    const privateKey = hex(`${pkcs8}4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb`);
    const publicKey = hex('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c');
    const signature = hex(
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    );
    expect(await signWith(privateKey, Uint8Array.of(0x72))).toBe(signature);
    expect(await isSignedBy(publicKey, signature, Uint8Array.of(0x72))).toBe(true);
  });

  it('signs a view into a larger buffer, not the buffer', async () => {
    const { publicKey, privateKey } = await generateIdentityKeys();
    const view = new Uint8Array([9, ...message, 9]).subarray(1, -1);
    expect(await isSignedBy(publicKey, await signWith(privateKey, view), message)).toBe(true);
  });
});

describe('a signature is refused', () => {
  it('when message, signature or key differ by one bit', async () => {
    const { publicKey, privateKey } = await generateIdentityKeys();
    const signature = await signWith(privateKey, message);
    for (const at of [0, message.length - 1]) expect(await isSignedBy(publicKey, signature, changed(message, at))).toBe(false);
    for (const at of [0, 31, 32, 63]) {
      expect(await isSignedBy(publicKey, toBase64(changed(fromBase64(signature), at)), message)).toBe(false);
    }
    for (const at of [0, 31]) {
      expect(await isSignedBy(toBase64(changed(fromBase64(publicKey), at)), signature, message)).toBe(false);
    }
  });

  it('when somebody else made it', async () => {
    const [owner, other] = await Promise.all([generateIdentityKeys(), generateIdentityKeys()]);
    expect(await isSignedBy(owner.publicKey, await signWith(other.privateKey, message), message)).toBe(false);
  });

  it.each([
    ['nothing', '', ''],
    ['no base64', '€', '!!'],
    ['a key of 31 bytes', toBase64(new Uint8Array(31)), toBase64(new Uint8Array(64))],
    ['a signature of 63 bytes', toBase64(new Uint8Array(32)), toBase64(new Uint8Array(63))],
  ])('without throwing when it is %s', async (_, key, signature) => {
    expect(await isSignedBy(key, signature, message)).toBe(false);
  });
});

describe('base64', () => {
  it('gives back the bytes it was given', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(fromBase64(toBase64(bytes))).toEqual(bytes);
      }),
    );
  });

  it('is fresh for every nonce', () => {
    expect(fromBase64(randomBase64(32))).toHaveLength(32);
    expect(randomBase64(32)).not.toBe(randomBase64(32));
  });
});

describe('a fingerprint', () => {
  it('is half of the SHA-256 of the key, and another one for another key', async () => {
    const key = toBase64(Uint8Array.from({ length: 32 }, (_, index) => index));
    // printf of the bytes 00..1f | sha256sum
    expect(await keyFingerprint(key)).toBe('630dcd2966c4336691125448bbb25b4f');
    expect(await keyFingerprint((await generateIdentityKeys()).publicKey)).not.toBe(await keyFingerprint(key));
  });

  it.each([
    // The examples of the scheme's description: 127.0.0.1 and 63.84.220.193, each followed by itself.
    ['7f0000017f000001', 'lusab-babad-lusab-babad'],
    ['3f54dcc13f54dcc1', 'gutih-tugad-gutih-tugad'],
    ['ffffffffffffffff0000', 'zuzuz-zuzuz-zuzuz-zuzuz'],
  ])('%s is read out as %s', (fingerprint, words) => {
    expect(fingerprintWords(fingerprint)).toBe(words);
  });
});
