import { describe, expect, it } from 'vitest';
import { type IdleModel, toSendAway } from './room.ts';

const idle = (id: string, heldBytes: number, lastUsedAtMs: number): IdleModel => ({ id, heldBytes, lastUsedAtMs });
const three = [idle('new', 4, 300), idle('old', 2, 100), idle('middle', 3, 200)];

describe('to make room', () => {
  it.each<[string, number, number, string[]]>([
    ['nothing goes where there is enough', 5, 5, []],
    ['what was not used for longest goes first', 6, 5, ['old']],
    ['as many go as it takes', 9, 5, ['old', 'middle']],
    ['all go when that is not enough', 100, 5, ['old', 'middle', 'new']],
    ['all go when nobody knows how much it takes', Number.POSITIVE_INFINITY, 5, ['old', 'middle', 'new']],
  ])('%s', (_, needBytes, freeBytes, leaving) => {
    expect(toSendAway(three, needBytes, freeBytes)).toEqual(leaving);
  });
});
