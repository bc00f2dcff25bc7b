import { describe, expect, it } from 'vitest';
import { Affinity } from './affinity.ts';

const MINUTE_MS = 60_000;

const setUp = () => {
  let nowMs = 1_000_000;
  const affinity = new Affinity({ nowMs: () => nowMs, wallMs: () => nowMs, after: () => () => {} });
  return {
    affinity,
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
};

describe('the memory of who answered', () => {
  it('goes by the first key that is known, and by the latest answer', () => {
    const { affinity } = setUp();
    expect(affinity.nodeFor(['session', 'prefix'])).toBeNull();
    affinity.remember(['prefix'], 'old');
    expect(affinity.nodeFor(['session', 'prefix'])).toBe('old');
    affinity.remember(['session', 'other prefix'], 'new');
    expect(affinity.nodeFor(['session', 'prefix'])).toBe('new');
    expect(affinity.nodeFor(['prefix'])).toBe('old');
    affinity.remember(['prefix'], 'newest');
    expect(affinity.nodeFor(['prefix', 'session'])).toBe('newest');
  });

  it('lasts as long as an engine may keep its cache, from the last use on', () => {
    const { affinity, pass } = setUp();
    affinity.remember(['kept', 'left'], 'node');
    pass(29 * MINUTE_MS);
    affinity.remember(['kept'], 'node');
    pass(MINUTE_MS);
    expect(affinity.nodeFor(['left'])).toBeNull();
    expect(affinity.nodeFor(['left', 'kept'])).toBe('node');
    pass(29 * MINUTE_MS);
    expect(affinity.nodeFor(['kept'])).toBeNull();
  });

  it('is bounded: what was used longest ago is forgotten first', () => {
    const { affinity } = setUp();
    for (let number = 0; number < 20_000; number += 1) affinity.remember([`key ${number}`], 'node');
    affinity.remember(['key 0'], 'node');
    affinity.remember(['one more', 'and another'], 'node');
    const known = (number: number) => affinity.nodeFor([`key ${number}`]) !== null;
    expect([0, 1, 2, 3, 19_999].map(known)).toEqual([true, false, false, true, true]);
  });
});
