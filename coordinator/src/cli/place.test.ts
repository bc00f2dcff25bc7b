import { describe, expect, it } from 'vitest';
import { chooseHome, type Home } from './place.ts';

const at = (dataDir: string, url: string | null = null): Home => ({ dataDir, url });

describe('chooseHome', () => {
  it.each<[string, string | null, Home[], string]>([
    ['takes the directory that was named', '/named', [at('/usual', 'http://a'), at('/named')], 'home /named'],
    ['does not take another than the one named', '/typo', [at('/usual', 'http://a')], 'wrong /typo'],
    ['takes the one that runs', null, [at('/usual'), at('/other', 'http://b')], 'home /other'],
    ['prefers the usual one among several', null, [at('/other', 'http://b'), at('/usual', 'http://a')], 'home /usual'],
    ['asks when several run and none is the usual', null, [at('/b', 'http://b'), at('/c', 'http://c')], 'several /b /c'],
    ['takes the one that ran last when none runs', null, [at('/late'), at('/early')], 'home /late'],
    ['prefers the usual one when none runs', null, [at('/late'), at('/usual')], 'home /usual'],
    ['finds none on a new machine', null, [], 'none'],
  ])('%s', (_, named, homes, expected) => {
    const choice = chooseHome({ named, usual: '/usual', homes });
    const words = {
      home: () => ['home', choice.kind === 'home' ? choice.home.dataDir : ''],
      wrong: () => ['wrong', choice.kind === 'wrong' ? choice.dataDir : ''],
      several: () => ['several', ...(choice.kind === 'several' ? choice.homes.map(({ dataDir }) => dataDir) : [])],
      none: () => ['none'],
    }[choice.kind]();
    expect(words.join(' ')).toBe(expected);
  });
});
