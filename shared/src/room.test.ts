import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Gpu } from './node.ts';
import { machineRoom } from './room.ts';

const bytes = fc.nat(1_000);
const cards = fc.array(
  fc
    .record({
      total: fc.option(bytes),
      free: fc.option(bytes),
      isUnifiedMemory: fc.boolean(),
      isLost: fc.option(fc.boolean(), { nil: undefined }),
    })
    .map(
      ({ total, free, isUnifiedMemory, isLost }): Gpu => ({
        id: 'card',
        name: 'Card',
        vendor: 'unknown',
        isUnifiedMemory,
        ...(isLost === undefined ? {} : { isLost }),
        vramTotalBytes: total,
        vramUsedBytes: null,
        vramFreeBytes: free === null || total === null ? free : Math.min(free, total),
        utilization: null,
        temperatureCelsius: null,
        powerWatts: null,
        driverVersion: null,
      }),
    ),
  { maxLength: 4 },
);
const memory = fc.tuple(bytes, bytes).map(([a, b]) => ({ totalBytes: Math.max(a, b), freeBytes: Math.min(a, b) }));

describe('the room of a machine', () => {
  it('is never more than what the machine has told of, and never more free than there is', () => {
    fc.assert(
      fc.property(cards, memory, (gpus, main) => {
        const room = machineRoom({ gpus, memory: main });
        const told = gpus.flatMap((gpu) => (gpu.isLost ? [] : (gpu.vramTotalBytes ?? [])));
        expect(room.totalBytes).toBeLessThanOrEqual(
          told.length === 0 ? main.totalBytes : told.reduce((sum, total) => sum + total),
        );
        expect(room.freeBytes).toBeLessThanOrEqual(room.totalBytes);
      }),
    );
  });

  it('is the same with and without a lost card', () => {
    fc.assert(
      fc.property(cards, memory, cards, (gpus, main, others) => {
        const lost = others.map((gpu) => ({ ...gpu, isLost: true }));
        expect(machineRoom({ gpus: [...gpus, ...lost], memory: main })).toEqual(machineRoom({ gpus, memory: main }));
      }),
    );
  });

  it('grows by no byte that nobody has told of', () => {
    fc.assert(
      fc.property(cards, memory, (gpus, main) => {
        const forgetful = gpus.map((gpu) => ({ ...gpu, vramFreeBytes: gpu.isUnifiedMemory ? gpu.vramFreeBytes : null }));
        expect(machineRoom({ gpus: forgetful, memory: main }).freeBytes).toBeLessThanOrEqual(
          machineRoom({ gpus, memory: main }).freeBytes,
        );
      }),
    );
  });
});
