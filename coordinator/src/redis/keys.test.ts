import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keys, QUEUE_PREFIX, queueName } from './keys.ts';

/** What Redis Cluster hashes: the text between the first `{` and the next `}`, if there is any, else the whole key. */
const hashedPart = (key: string): string => /^[^{]*\{([^}]+)\}/.exec(key)?.[1] ?? key;

const keysOf = (nodeId: string, model: string): string[] => [
  keys.node(nodeId),
  keys.nodeEpoch(nodeId),
  keys.nodeLeases(nodeId, 1),
  keys.modelLeases(nodeId, 1, model),
  keys.nodeLeases(nodeId, 2),
  keys.modelLeases(nodeId, 2, model),
];

const nodeId = fc.uuid().map((id) => `node_${id}`);

describe('Redis keys', () => {
  it('of one node share a slot of a cluster, whatever its models are called', () => {
    fc.assert(
      fc.property(nodeId, fc.string({ minLength: 1 }), (id, model) => {
        expect(new Set(keysOf(id, model).map(hashedPart))).toEqual(new Set([`node:${id}`]));
      }),
    );
  });

  it('of different nodes and models are different', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(nodeId, { minLength: 2, maxLength: 2 }),
        fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 2, maxLength: 2 }),
        ([a = '', b = ''], [m = '', n = '']) => {
          const all = [...keysOf(a, m), ...keysOf(b, m), keys.modelLeases(a, 1, n), keys.memory, keys.nodes, keys.nodeChannel];
          expect(new Set(all).size).toBe(all.length);
        },
      ),
    );
  });

  it('are all ours by their prefix', () => {
    const all = [...keysOf('node_1', 'm'), keys.memory, keys.nodes, keys.nodeChannel, `${QUEUE_PREFIX}:${queueName('abc')}`];
    for (const key of all) expect(key).toMatch(/^lai:/);
  });

  it('of one queue share a slot: the name is the tag', () => {
    expect(hashedPart(`${QUEUE_PREFIX}:${queueName('0123abcd')}:wait`)).toBe('q-0123abcd');
    expect(hashedPart(`${QUEUE_PREFIX}:${queueName('0123abcd')}:42`)).toBe('q-0123abcd');
  });
});
