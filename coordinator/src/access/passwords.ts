import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { CodedError } from '@lai/shared/errors';

/**
 * Argon2id with OWASP's minimum: 19 MiB, two passes, 52 ms here. Two at a time, so that a storm of sign-ins takes 40 MiB and not all there
 * is on a small machine; a few more may wait, the others are told to come back.
 */
const MEMORY_KIB = 19_456;
const PASSES = 2;
const TAG_BYTES = 32;
const AT_ONCE = 2;
const MAX_WAITING = 16;

const derive = promisify(argon2);

/** `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<tag>`, as everybody writes it. */
export const hashPassword = async (password: string): Promise<string> => {
  const salt = randomBytes(16);
  const tag = await tagOf(password, salt, { memory: MEMORY_KIB, passes: PASSES });
  return `$argon2id$v=19$m=${MEMORY_KIB},t=${PASSES},p=1$${unpadded(salt)}$${unpadded(tag)}`;
};

/** Costs the same whether there is a hash to compare with or not: who exists is nobody's business. */
export const isPassword = async (password: string, hash: string | undefined): Promise<boolean> => {
  const [, memory, passes, salt, tag] = PATTERN.exec(hash ?? NOBODY) ?? [];
  if (!memory || !passes || !salt || !tag) return false;
  const expected = Buffer.from(tag, 'base64');
  const actual = await tagOf(password, Buffer.from(salt, 'base64'), { memory: Number(memory), passes: Number(passes) });
  return expected.length === actual.length && timingSafeEqual(expected, actual) && hash !== undefined;
};

const PATTERN = /^\$argon2id\$v=19\$m=(\d{4,6}),t=(\d{1,2}),p=1\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})$/;
const NOBODY = `$argon2id$v=19$m=${MEMORY_KIB},t=${PASSES},p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`;

let running = 0;
const waiting: (() => void)[] = [];

const tagOf = async (
  password: string,
  nonce: Buffer,
  { memory, passes }: { memory: number; passes: number },
): Promise<Buffer> => {
  if (running >= AT_ONCE) {
    if (waiting.length >= MAX_WAITING) throw new CodedError('rate_limit_exceeded', { retryAfterSeconds: 2 });
    await new Promise<void>((resolve) => waiting.push(resolve));
  } else running += 1;
  try {
    // One and the same word, however the keyboard composed its letters.
    const message = password.normalize('NFKC');
    return await derive('argon2id', { message, nonce, parallelism: 1, tagLength: TAG_BYTES, memory, passes });
  } finally {
    // Who waits takes over the place, so that nobody slips in between.
    const next = waiting.shift();
    if (next) next();
    else running -= 1;
  }
};

const unpadded = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '');
