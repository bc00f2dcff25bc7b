import { describe, expect, it } from 'vitest';
import { waitAfter } from './sign-in.ts';

describe('the wait after failed sign-ins', () => {
  it.each([
    [0, 0],
    [4, 0],
    [5, 60],
    [6, 120],
    [7, 240],
    [8, 480],
    [9, 900],
    [10, 900],
    [1_000_000, 900],
  ])('after %i of them is %i s', (failures, seconds) => {
    expect(waitAfter(failures)).toBe(seconds * 1_000);
  });
});
