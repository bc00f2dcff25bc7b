import { describe, expect, it } from 'vitest';
import type { Clock } from './clock.ts';
import { Quarantine } from './quarantine.ts';

const clock: Clock = { nowMs: () => 1_000, after: () => () => {} };
const store = { add: async () => 1, all: async () => new Map<string, number>() };
const newQuarantine = () => new Quarantine({ store, clock });

describe('a request whose node was lost', () => {
  it('is suspicious, and blocked after the second time', () => {
    const quarantine = newQuarantine();
    quarantine.nodeReturned('left', 'agent-1');
    quarantine.started('request', 'left');
    quarantine.ended('request', 'left', 'agent-1', 'node_lost');
    expect(quarantine.permission('request').kind).toBe('alone');
    quarantine.started('request', 'right');
    quarantine.ended('request', 'right', 'agent-2', 'node_lost');
    expect(quarantine.permission('request').kind).toBe('blocked');
  });

  it('is free again when the node returns with the same agent process', () => {
    const quarantine = newQuarantine();
    quarantine.started('request', 'left');
    quarantine.ended('request', 'left', 'agent-1', 'node_lost');
    quarantine.nodeReturned('left', 'agent-1');
    expect(quarantine.permission('request').kind).toBe('free');
  });

  it('is not suspected when the node had returned with the same agent process before its loss was noticed', () => {
    const quarantine = newQuarantine();
    quarantine.nodeReturned('left', 'agent-1');
    quarantine.started('request', 'left');
    quarantine.nodeReturned('left', 'agent-1');
    quarantine.ended('request', 'left', 'agent-1', 'node_lost');
    expect(quarantine.permission('request').kind).toBe('free');
  });

  it('is suspected when the node had returned with another agent process before its loss was noticed', () => {
    const quarantine = newQuarantine();
    quarantine.nodeReturned('left', 'agent-1');
    quarantine.started('request', 'left');
    quarantine.nodeReturned('left', 'agent-2');
    quarantine.ended('request', 'left', 'agent-1', 'node_lost');
    expect(quarantine.permission('request').kind).toBe('alone');
  });

  it('is suspected when it was started after the return', () => {
    const quarantine = newQuarantine();
    quarantine.nodeReturned('left', 'agent-1');
    quarantine.started('request', 'left');
    quarantine.ended('request', 'left', 'agent-1', 'node_lost');
    expect(quarantine.permission('request').kind).toBe('alone');
  });
});

describe('a request that nobody has seen succeed', () => {
  it('runs on two engines at most, and a node that came back has another one', () => {
    const quarantine = newQuarantine();
    quarantine.nodeReturned('left', 'agent-1');
    quarantine.started('request', 'left');
    expect(quarantine.permission('request').kind).toBe('free');
    quarantine.started('request', 'right');
    expect(quarantine.permission('request')).toEqual({ kind: 'confined', nodes: new Set(['left', 'right']) });
    // Its old engine died of the copy, and the news of that is on its way.
    quarantine.nodeReturned('left', 'agent-2');
    expect(quarantine.permission('request')).toEqual({ kind: 'confined', nodes: new Set(['right']) });
  });
});
