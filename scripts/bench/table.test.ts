import { describe, expect, it } from 'vitest';
import { number, ratio, signed, table } from './table.ts';

describe('tables', () => {
  it('align what they show', () => {
    expect(
      table(
        ['who', 'ms'],
        [
          ['direct', '1.5'],
          ['lai', '12.0'],
        ],
      ),
    ).toBe('who       ms\n------  ----\ndirect   1.5\nlai     12.0');
  });

  it('leave short rows open', () => {
    expect(table(['a', 'b'], [['x']])).toBe('a  b\n-  -\nx');
  });

  it.each([
    [0.1234, '0.12'],
    [9.876, '9.88'],
    [12.34, '12.3'],
    [123.4, '123'],
    [12_345.6, '12,346'],
    [-3, '-3.00'],
    [Number.NaN, '-'],
    [Number.POSITIVE_INFINITY, '-'],
  ])('%s is shown as %s', (value, text) => {
    expect(number(value)).toBe(text);
  });

  it('show direction and ratio', () => {
    expect(signed(1)).toBe('+1.00');
    expect(signed(-1)).toBe('-1.00');
    expect(ratio(2)).toBe('2.00 x');
    expect(ratio(Number.NaN)).toBe('-');
  });
});
