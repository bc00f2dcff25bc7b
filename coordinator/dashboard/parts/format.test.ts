import { describe, expect, it } from 'vitest';
import * as format from './format.ts';

const GB = 1024 ** 3;

describe('numbers for people', () => {
  it.each([
    [null, '–'],
    [undefined, '–'],
    [0, '0.0 GB'],
    [40 * 1024 ** 2, '40 MB'],
    [14.94 * GB, '14.9 GB'],
    [99.96 * GB, '100 GB'],
  ])('says %s bytes as %s', (bytes, words) => expect(format.gigabytes(bytes)).toBe(words));

  it('never says 0 for what is not known', () => {
    for (const say of [format.gigabytes, format.percent, format.degrees, format.watts, format.rate, format.duration])
      expect(say(null)).toBe('–');
    expect(format.usage(null, 16 * GB, null)).toContain('not known');
    expect(format.usage(null, null, null)).toContain('not known');
    expect(format.usage(14.9 * GB, 16 * GB, null)).toBe('14.9 of 16.0 GB used · 1.1 free');
  });

  it.each([
    [640, '640 ms'],
    [4_200, '4.2 s'],
    [42_000, '42 s'],
    [200_000, '3:20 min'],
    [7_500_000, '2:05 h'],
    [4 * 86_400_000, '4 d'],
  ])('says %s ms as %s', (ms, words) => expect(format.duration(ms)).toBe(words));

  it.each([
    [250_000, '4:10'],
    [4_324_000, '1:12:04'],
    [-5, '0:00'],
  ])('counts %s ms down as %s', (ms, words) => expect(format.countdown(ms)).toBe(words));
});
