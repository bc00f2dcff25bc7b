import { performance } from 'node:perf_hooks';
import { describe, expect, it } from 'vitest';
import { CodedError } from '../../shared/src/errors.ts';
import { SURFACES } from '../fuzz/surfaces.ts';
import { SHAPES, type Shape } from './shapes.ts';

/** The sizes differ by 16, and so does the time per byte of what is quadratic. Much of one thing costs more memory, and with it some time. Exact figures: npm run body-cost. */
const [SMALL, LARGE] = [16 * 1024, 256 * 1024];
const MOST_GROWTH = 8;
const TRIES = 4;

/** The shortest of several runs: another program on the machine makes some of them longer, and none shorter. */
const shortestMs = (surface: string, body: Buffer): number =>
  Math.min(
    ...Array.from({ length: 3 }, () => {
      const startedAtMs = performance.now();
      try {
        SURFACES[surface]?.(body).bodyFor('m');
      } catch (error) {
        if (!(error instanceof CodedError)) throw error;
      }
      return performance.now() - startedAtMs;
    }),
  );

const growthOf = (shape: Shape, surface: string): number => {
  const [small, large] = [SMALL, LARGE].map((bytes) => Buffer.from(shape.body(bytes)));
  if (!small || !large) throw new Error('unreachable');
  return shortestMs(surface, large) / large.length / (shortestMs(surface, small) / small.length);
};

describe('reading and translating a body', () => {
  it.each(SHAPES.flatMap((shape) => shape.surfaces.map((surface) => [surface, shape.name, shape] as const)))(
    'costs as much per byte when there are more of them: %s, %s',
    (surface, _, shape) => {
      let growth = growthOf(shape, surface);
      for (let tries = 1; growth > MOST_GROWTH && tries < TRIES; tries += 1) growth = Math.min(growth, growthOf(shape, surface));
      expect(growth).toBeLessThan(MOST_GROWTH);
    },
  );
});
