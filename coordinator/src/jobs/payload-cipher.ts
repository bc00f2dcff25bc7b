import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ALGORITHM = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;

/** Encrypts what waits in Redis: a prompt must not be readable there. `context` binds the text to its place, so that it cannot be moved. */
export interface PayloadCipher {
  seal(text: string, context: string): string;
  /** Null when it was changed, moved, or sealed with another key. */
  open(sealed: string, context: string): string | null;
  /** The same for the same text, and for nobody to check guesses against who has not the key. */
  digest(text: string): string;
}

export const payloadCipher = (key: Buffer): PayloadCipher => {
  const digestKey = Buffer.from(hkdfSync('sha256', key, '', 'lai job digest', KEY_BYTES));
  return {
    seal: (text, context) => {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(ALGORITHM, key, nonce).setAAD(Buffer.from(context));
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64');
    },
    open: (sealed, context) => {
      const bytes = Buffer.from(sealed, 'base64');
      // What is too short to be ours would be an error of the cipher's use, not of its key.
      if (bytes.length < NONCE_BYTES + TAG_BYTES) return null;
      const decipher = createDecipheriv(ALGORITHM, key, bytes.subarray(0, NONCE_BYTES))
        .setAAD(Buffer.from(context))
        .setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
      const opened = decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES));
      try {
        return Buffer.concat([opened, decipher.final()]).toString('utf8');
      } catch {
        return null;
      }
    },
    digest: (text) => createHmac('sha256', digestKey).update(text).digest('base64url'),
  };
};

/** The key from the configuration (replicas share one), or the one in the data directory, made at the first start. */
export const readPayloadKey = (configured: string | undefined, dataDir: string): Buffer => {
  if (configured !== undefined) return checked(Buffer.from(configured, 'base64'), 'LAI_PAYLOAD_KEY');
  const path = join(dataDir, 'payload.key');
  try {
    writeFileSync(path, `${randomBytes(KEY_BYTES).toString('base64')}\n`, { mode: 0o600, flag: 'wx', flush: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  if (process.platform !== 'win32' && (statSync(path).mode & 0o077) !== 0)
    throw new Error(`${path} holds the key of queued prompts and is readable by others. Run: chmod 600 '${path}'`);
  return checked(Buffer.from(readFileSync(path, 'utf8').trim(), 'base64'), path);
};

const checked = (key: Buffer, source: string): Buffer => {
  if (key.length === KEY_BYTES) return key;
  throw new Error(`${source} must be ${KEY_BYTES} random bytes in base64. Make one: openssl rand -base64 32`);
};
