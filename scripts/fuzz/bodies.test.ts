import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asked, bodies, sentFor } from './bodies.ts';
import { runCampaign } from './campaign.ts';
import { canonical, READERS } from './json-readers.ts';

const readings = (text: string) =>
  Object.fromEntries(
    READERS.map(({ name, read }) => {
      const tree = read(text);
      return [name, tree === null ? null : canonical(tree)];
    }),
  );

describe('readers of JSON', () => {
  it('differ where parsers differ', () => {
    expect(readings('{"a":1,"A":2,"a":3,"ſ":4}')).toEqual({
      'Go-like': '{"a":3,"s":4}',
      'last wins': '{"a":2,"a":3,"s":4}',
      'first wins': '{"a":1,"a":2,"s":4}',
      strict: null,
    });
  });

  it('agree on what can be read in one way, and refuse what is no JSON', () => {
    const text = ' {"a" : [1.0, "x\\"]{" , {"b":null}] , "c":{}} ';
    expect(new Set(Object.values(readings(text)))).toEqual(new Set(['{"a":[1.0,"x\\"]{",{"b":null}],"c":{}}']));
    expect(new Set(Object.values(readings('{"a":1,}')))).toEqual(new Set([null]));
  });
});

describe('drawn request bodies', () => {
  it('are read by every engine as they were checked', async () => {
    expect(await runCampaign(bodies, { runs: 3_000, seed: Date.now() % 2 ** 31 })).toMatchObject({ violation: null });
  });

  it('are taken often enough to prove something', () => {
    const taken = fc.sample(asked, { numRuns: 1_000, seed: 1 }).filter((each) => sentFor(each) !== null);
    expect(taken.length).toBeGreaterThan(100);
  });
});
