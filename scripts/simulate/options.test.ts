import { expect, test } from 'vitest';
import { readOptions } from './options.ts';

test('runs and seeds are numbers, everything else is named', () => {
  expect(readOptions(['--runs', '50', '--seed', '9', '--profile', 'redis', '--break', 'load', '--threads', '1'])).toEqual({
    ...{ runs: 50, seed: 9, profile: 'redis', break: 'load', threads: 1 },
    ...{ isTraced: false, keepAs: null, planFile: null },
  });
});

test('without options: a thousand runs', () => {
  expect(readOptions([])).toMatchObject({ runs: 1_000, seed: 1, profile: null, break: null });
});

test.each([
  [['--runs', 'many'], /whole number/],
  [['--seed', '0'], /whole number/],
  [['--profile', 'sunny'], /no profile/],
  [['--break', 'everything'], /no break/],
  [['--keep', '../away'], /kebab-case/],
  [['--what'], /what/],
])('%j is refused with a sentence', (argv, sentence) => {
  expect(() => readOptions(argv)).toThrow(sentence);
});
