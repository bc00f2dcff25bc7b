import { expect, it } from 'vitest';
import { spanOf } from './span.ts';

it.each([
  [0, '0 s'],
  [45_400, '45 s'],
  [180_000, '3 min'],
  [185_000, '3 min'],
  [7_200_000, '2 h'],
  [7_500_000, '2 h 5 min'],
  [273_600_000, '3 d 4 h'],
])('says %i ms as %j', (ms, text) => {
  expect(spanOf(ms)).toBe(text);
});
