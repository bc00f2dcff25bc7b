import type { ErrorCode } from '@lai/shared/errors';
import { describe, expect, it } from 'vitest';
import { Cooldowns } from './cooldowns.ts';

/** Long enough to be another trouble. */
const APART_MS = 5_000;

const setUp = () => {
  let nowMs = 1_000_000;
  const cooldowns = new Cooldowns({ nowMs: () => nowMs, wallMs: () => nowMs, after: () => () => {} });
  return {
    cooldowns,
    pass: (ms: number) => {
      nowMs += ms;
    },
    /** Again and again, as separate troubles. */
    fail: (code: ErrorCode, times = 1) => {
      for (let time = 0; time < times; time += 1) {
        nowMs += APART_MS;
        cooldowns.record('a', 'm', code);
      }
    },
    restMs: (nodeId = 'a', model = 'm') => Math.max(0, cooldowns.untilMs(nodeId, model) - nowMs),
  };
};

describe('a rest', () => {
  it.each<[number, number]>([
    [1, 0],
    [2, 30_000],
    [3, 60_000],
    [20, 300_000],
  ])('after %i failures in a row is %i ms', (times, restMs) => {
    const { fail, restMs: rest } = setUp();
    fail('engine_error', times);
    expect(rest()).toBe(restMs);
  });

  it.each<ErrorCode>([
    'engine_crashed',
    'engine_error',
    'engine_unreachable',
    'out_of_memory',
    'incomplete_answer',
    'first_token_timeout',
    'stall_timeout',
  ])('is for the model alone after %s', (code) => {
    const { fail, restMs } = setUp();
    fail(code, 2);
    expect([restMs(), restMs('a', 'other'), restMs('b')]).toEqual([30_000, 0, 0]);
  });

  it.each<ErrorCode>(['node_lost', 'accept_timeout'])('is for the whole node after %s', (code) => {
    const { fail, restMs } = setUp();
    fail(code, 2);
    expect([restMs(), restMs('a', 'other'), restMs('b')]).toEqual([30_000, 30_000, 0]);
  });

  it.each<ErrorCode>([
    'canceled',
    'request_refused',
    'context_length_exceeded',
    'node_busy',
    'node_held',
    'preempted',
    'deadline_exceeded',
  ])('is not taken for %s', (code) => {
    const { fail, restMs } = setUp();
    fail(code, 5);
    expect(restMs()).toBe(0);
  });

  it('is not longer for how many it hit at once', () => {
    const { cooldowns, fail, restMs } = setUp();
    for (let time = 0; time < 20; time += 1) cooldowns.record('a', 'm', 'engine_crashed');
    expect(restMs()).toBe(0);
    fail('engine_crashed');
    expect(restMs()).toBe(30_000);
  });

  it('is not taken for one partition, of which requests tell before the node is called lost', () => {
    const { cooldowns, fail, pass, restMs } = setUp();
    fail('accept_timeout');
    pass(2_500);
    cooldowns.record('a', 'm', 'node_lost');
    expect(restMs()).toBe(0);
    fail('accept_timeout');
    expect(restMs()).toBe(30_000);
  });

  it('is over, and nothing counts any more, once an answer went well', () => {
    const { cooldowns, fail, restMs } = setUp();
    fail('node_lost', 3);
    fail('engine_error', 3);
    cooldowns.record('a', 'm', 'end');
    expect(restMs()).toBe(0);
    fail('engine_error');
    fail('node_lost');
    expect(restMs()).toBe(0);
  });

  it('of two seconds is for an engine whose own queue is full, and is no failure', () => {
    const { fail, restMs } = setUp();
    fail('engine_overloaded', 5);
    expect(restMs()).toBe(2_000);
    fail('engine_error');
    expect(restMs()).toBe(0);
  });
});
