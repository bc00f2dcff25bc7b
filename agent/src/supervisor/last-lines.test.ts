import { describe, expect, it } from 'vitest';
import { LastLines } from './last-lines.ts';

describe('the last lines of an engine', () => {
  it('are told from the moment somebody listens, to each listener its own', () => {
    const lines = new LastLines();
    lines.add('before');
    const first = lines.listen();
    lines.add('a');
    const second = lines.listen();
    lines.add('b');
    expect([first(), second(), lines.listen()()]).toEqual([['a', 'b'], ['b'], []]);
  });

  it('are few and short, however much it says', () => {
    const lines = new LastLines();
    const heard = lines.listen();
    for (let index = 0; index < 2_000; index += 1) lines.add(`${index} ${'x'.repeat(10_000)}`);
    expect(heard()).toHaveLength(500);
    expect(heard().at(-1)).toMatch(/^1999 x{295}$/);
  });
});
