import { describe, expect, it } from 'vitest';
import { cutLines, LINE_LIMIT_CHARACTERS } from './line-cutter.ts';

describe('cutting chunks into lines', () => {
  it('joins a line that arrives in two chunks', () => {
    const first = cutLines('', 'one\ntw');
    expect(first).toEqual({ lines: ['one'], rest: 'tw' });
    expect(cutLines(first.rest, 'o\r\n')).toEqual({ lines: ['two'], rest: '' });
  });

  it('forgets a line that never ends', () => {
    expect(cutLines('x'.repeat(LINE_LIMIT_CHARACTERS), 'x').rest).toBe('');
  });
});
