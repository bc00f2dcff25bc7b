import { describe, expect, it } from 'vitest';
import { remembered } from './remembered.ts';

describe('a remembered answer', () => {
  const make = (answers: (string | null)[]) => {
    const clock = { nowMs: 0 };
    const asked: number[] = [];
    const ask = remembered({
      ask: async () => {
        asked.push(clock.nowMs);
        return answers[asked.length - 1] ?? null;
      },
      isGood: (answer) => answer !== null,
      keepMs: 100,
      nowMs: () => clock.nowMs,
    });
    return { ask, asked, clock };
  };

  it('is asked for once while it is being asked for', async () => {
    const { ask, asked } = make(['one', 'two']);
    expect(await Promise.all([ask(), ask(), ask()])).toEqual(['one', 'one', 'one']);
    expect(asked).toHaveLength(1);
  });

  it('is asked for again when it is too old', async () => {
    const { ask, clock } = make(['one', 'two']);
    await ask();
    clock.nowMs = 99;
    expect(await ask()).toBe('one');
    clock.nowMs = 100;
    expect(await ask()).toBe('two');
  });

  it('is asked for again by someone who wants it fresher', async () => {
    const { ask, clock } = make(['one', 'two']);
    await ask();
    clock.nowMs = 50;
    expect(await ask(60)).toBe('one');
    expect(await ask(50)).toBe('two');
  });

  it('is not kept when it is bad', async () => {
    const { ask } = make([null, 'two']);
    expect(await ask()).toBeNull();
    expect(await ask()).toBe('two');
  });

  it('does not get stuck on a rejection', async () => {
    let calls = 0;
    const ask = remembered({
      ask: async () => {
        calls += 1;
        if (calls === 1) throw new Error('no');
        return 'yes';
      },
      isGood: () => true,
      keepMs: 100,
    });
    await expect(ask()).rejects.toThrow('no');
    expect(await ask()).toBe('yes');
  });
});
