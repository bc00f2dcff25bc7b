import { expect, it } from 'vitest';
import { parseDurationMs } from './duration.ts';

it.each<[string, number | null]>([
  ['90s', 90_000],
  ['30m', 1_800_000],
  ['30min', 1_800_000],
  ['2h', 7_200_000],
  ['1h30m', 5_400_000],
  ['1.5h', 5_400_000],
  ['1d', 86_400_000],
  [' 2 H ', 7_200_000],
  ['0s', null],
  ['2', null],
  ['h', null],
  ['2h!', null],
  ['-2h', null],
  ['', null],
])('%s is %s ms', (text, ms) => {
  expect(parseDurationMs(text)).toBe(ms);
});
