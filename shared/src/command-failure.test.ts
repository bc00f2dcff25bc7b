import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { exitCodeOf, sentenceOf, settingsProblem, UsageError } from './command-failure.ts';

const Settings = z.object({
  port: z.coerce.number().int().min(0).max(65_535),
  level: z.enum(['info', 'debug']),
  url: z.url(),
  name: z.string().regex(/^\w+$/, 'use letters and digits'),
  waitMs: z.coerce.number().int().positive(),
});
const good = { port: 1, level: 'info', url: 'http://a', name: 'a', waitMs: 1 };

describe('settingsProblem', () => {
  it.each([
    [{ port: 'abc' }, '--port is "abc": use a whole number.'],
    [{ port: 1.5 }, '--port is 1.5: use a whole number.'],
    [{ port: 70_000 }, '--port is 70000: use at most 65535.'],
    [{ port: -1 }, '--port is -1: use at least 0.'],
    [{ waitMs: 0 }, '--waitMs is 0: use more than 0.'],
    [{ level: 'loud' }, '--level is "loud": use one of info, debug.'],
    [{ url: 'nowhere' }, '--url is "nowhere": use an address such as http://127.0.0.1:11434.'],
    [{ name: 'a b' }, '--name is "a b": use letters and digits.'],
  ])('says of %j what to use instead', (change, sentence) => {
    const values = { ...good, ...change };
    const { error } = Settings.safeParse(values);
    if (!error) throw new Error('it was accepted');
    const problem = settingsProblem('lai', error, { values, nameOf: (setting) => `--${setting}` });
    expect(problem.message).toBe(`The settings of lai cannot be used. ${sentence}`);
    expect(exitCodeOf(problem)).toBe(2);
  });
});

it('settingsProblem names each setting once and repeats no secret', () => {
  const { error } = z
    .object({ apiKey: z.string().min(9), port: z.number().int().min(5) })
    .safeParse({ apiKey: 'lai_abc', port: 1.5 });
  if (!error) throw new Error('it was accepted');
  const { message } = settingsProblem('lai', error, { values: { apiKey: 'lai_abc', port: 1.5 }, nameOf: (setting) => setting });
  expect(message).toBe(
    'The settings of lai cannot be used. apiKey is not usable: use at least 9 characters. port is 1.5: use a whole number.',
  );
});

describe('sentenceOf', () => {
  it.each([
    [new Error('Nothing listens there'), 'Nothing listens there.'],
    [new UsageError('Use this.'), 'Use this.'],
    [
      Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES', path: '/x' }),
      '/x may not be used by this user (EACCES).',
    ],
    [Object.assign(new Error('ENOENT: no such file'), { code: 'ENOENT', path: '/y' }), '/y does not exist (ENOENT).'],
    ['text', 'text.'],
  ])('ends as a sentence', (error, sentence) => {
    expect(sentenceOf(error)).toBe(sentence);
  });

  it('shows no raw text of zod', () => {
    const { error } = z.object({ nodes: z.array(z.number()) }).safeParse({ nodes: ['a'] });
    expect(sentenceOf(error)).toBe('An answer was not of the expected shape: nodes.0: use a whole number.');
  });
});
