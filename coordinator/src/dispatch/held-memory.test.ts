import { CodedError } from '@lai/shared/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HeldMemory } from './held-memory.ts';

const LIMITS = { bytes: 1_000, bytesOfOwner: 600, bytesOfRequest: 100 };

const refusal = (act: () => void): string | null => {
  try {
    act();
    return null;
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    expect(error.retryAfterSeconds).toBeGreaterThan(0);
    return error.code;
  }
};

describe('HeldMemory', () => {
  it('refuses what one owner would hold too much of, and serves the others', () => {
    const memory = new HeldMemory(LIMITS);
    memory.hold('a').grow(400);
    expect(refusal(() => memory.hold('a').grow(200))).toBe('rate_limit_exceeded');
    expect(refusal(() => memory.hold('b').grow(200))).toBeNull();
  });

  it('refuses what all together would hold too much of', () => {
    const memory = new HeldMemory(LIMITS);
    memory.hold('a').grow(500);
    memory.hold('b').grow(200);
    expect(refusal(() => memory.hold('c').grow(1))).toBe('queue_full');
  });

  it('counts a request that has no body to speak of', () => {
    const memory = new HeldMemory(LIMITS);
    const many = Array.from({ length: 20 }, (_, at) => refusal(() => memory.hold(`key ${at}`).grow(0)));
    expect(many.filter((code) => code === null)).toHaveLength(10);
  });

  it('moves what is held to the key that is shown', () => {
    const memory = new HeldMemory(LIMITS);
    const holding = memory.hold('address');
    holding.grow(400);
    holding.belongTo('key');
    expect(refusal(() => memory.hold('address').grow(300))).toBeNull();
    expect(refusal(() => holding.grow(200))).toBe('rate_limit_exceeded');
  });

  it('is empty when every request is over, whatever was refused in between', () => {
    const steps = fc.array(fc.record({ owner: fc.constantFrom('a', 'b', 'c'), bytes: fc.integer({ min: -50, max: 400 }) }));
    fc.assert(
      fc.property(steps, (all) => {
        const memory = new HeldMemory(LIMITS);
        const holdings = all.map(({ owner, bytes }) => {
          const holding = memory.hold(owner);
          refusal(() => holding.grow(Math.abs(bytes)));
          refusal(() => holding.grow(Math.max(0, bytes)));
          refusal(() => holding.belongTo('d'));
          expect(memory.bytes).toBeLessThanOrEqual(LIMITS.bytes);
          return holding;
        });
        for (const holding of [...holdings, ...holdings]) holding.release();
        expect([memory.bytes, memory.owners]).toEqual([0, 0]);
      }),
    );
  });
});
