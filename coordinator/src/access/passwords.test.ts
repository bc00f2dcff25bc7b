import { memoryUsage } from 'node:process';
import { describe, expect, it } from 'vitest';
import { hashPassword, isPassword } from './passwords.ts';

const MIB = 1024 * 1024;

describe('a password', () => {
  it('is known again, and no other is', async () => {
    const hash = await hashPassword('correct horse battery');
    expect(await isPassword('correct horse battery', hash)).toBe(true);
    for (const wrong of ['Correct horse battery', 'correct horse battery ', '', hash])
      expect(await isPassword(wrong, hash)).toBe(false);
  });

  it('is kept as argon2id of 19 MiB and two passes, with a salt of its own', async () => {
    const [one, two] = await Promise.all([hashPassword('correct horse'), hashPassword('correct horse')]);
    for (const hash of [one, two])
      expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    expect(one).not.toBe(two);
  });

  it('is the same word, however its letters were composed', async () => {
    expect(await isPassword('cafe\u0301 au lait', await hashPassword('caf\u00e9 au lait'))).toBe(true);
  });

  it('is nobody’s when there is no hash, or none of ours', async () => {
    const hash = await hashPassword('correct horse');
    for (const none of [undefined, '', 'correct horse', hash.replace('argon2id', 'argon2i'), hash.slice(0, -1), `${hash}x`])
      expect(await isPassword('correct horse', none)).toBe(false);
  });

  it('takes about as long for somebody who does not exist', async () => {
    const hash = await hashPassword('correct horse');
    const tookMs = async (of: string | undefined) => {
      const startedAtMs = performance.now();
      await isPassword('wrong horse', of);
      return performance.now() - startedAtMs;
    };
    const fastest = { someone: Number.POSITIVE_INFINITY, nobody: Number.POSITIVE_INFINITY };
    // In turns, so that a machine which is busy for a while is so for both.
    for (let round = 0; round < 5; round += 1) {
      fastest.someone = Math.min(fastest.someone, await tookMs(hash));
      fastest.nobody = Math.min(fastest.nobody, await tookMs(undefined));
    }
    expect(fastest.nobody).toBeGreaterThan(fastest.someone / 3);
  });
});

describe('many passwords at once', () => {
  it('take turns, and beyond a few are told to come back; the memory for two is all they take', async () => {
    const before = memoryUsage.rss();
    let most = before;
    const watch = setInterval(() => {
      most = Math.max(most, memoryUsage.rss());
    }, 2);
    const all = await Promise.allSettled(Array.from({ length: 100 }, () => isPassword('wrong horse', undefined)));
    clearInterval(watch);
    const refused = all.filter((one) => one.status === 'rejected');
    expect(refused).toHaveLength(100 - 18);
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'rate_limit_exceeded', retryAfterSeconds: 2 });
    expect((most - before) / MIB).toBeLessThan(100);
    expect(await isPassword('right horse', await hashPassword('right horse'))).toBe(true);
  });
});
