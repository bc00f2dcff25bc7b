import { describe, expect, it } from 'vitest';
import { derive, groupOf } from './groups.ts';
import { trialNode, trialWorld } from './trial-world.ts';

const node = (name: string, gigabytes: number | null, change = {}) =>
  trialNode({ name, memoryBytes: gigabytes === null ? null : gigabytes * 1e9, ...change });

describe('derive', () => {
  it.each([
    ['least and most memory', [node('a', 8), node('b', 16), node('c', 24)], ['a'], ['c']],
    ['all nodes of equal memory', [node('a', 8), node('b', 8)], ['a', 'b'], ['a', 'b']],
    ['always-on nodes as small', [node('a', 8), node('b', 24, { isAlwaysOn: true })], ['b'], ['b']],
    ['all nodes where no memory is known', [node('a', null), node('b', null)], ['a', 'b'], ['a', 'b']],
    ['nothing without nodes', [], [], []],
  ])('takes %s', (_name, nodes, small, big) => {
    const derived = derive(nodes);
    expect(derived.small).toEqual(small.map((name) => `id-${name}`));
    expect(derived.big).toEqual(big.map((name) => `id-${name}`));
  });

  it('keeps a group until another node is clearly better', () => {
    const before = derive([node('a', 8), node('b', 24)]);
    expect(derive([node('a', 8), node('b', 24), node('c', 25)], before).big).toEqual(['id-b']);
    expect(derive([node('a', 8), node('b', 24), node('c', 48)], before).big).toEqual(['id-c']);
    expect(derive([node('a', 8), node('c', 12)], before).big).toEqual(['id-c']);
  });
});

describe('groupOf', () => {
  it('takes rules before operators’ groups before derived ones', () => {
    const nodes = [node('a', 8, { group: 'big' }), node('b', 24)];
    expect(groupOf('big', trialWorld({ nodes }))).toMatchObject({ source: 'operator', nodes: [{ name: 'a' }] });
    expect(groupOf('small', trialWorld({ nodes }))).toMatchObject({ source: 'derived', nodes: [{ name: 'a' }] });
    expect(groupOf('BIG', trialWorld({ nodes, rules: { groups: { big: ['B'] } } }))).toMatchObject({
      source: 'rules',
      nodes: [{ name: 'b' }],
    });
    expect(groupOf('long', trialWorld({ nodes }))).toBeNull();
  });
});
