import type { Gpu } from '@lai/shared/node';
import { describe, expect, it } from 'vitest';
import { memoryVerdict } from './memory-freed.ts';

const GB = 1e9;
const gpu = (vramUsedBytes: number | null): Gpu => ({
  id: 'g',
  name: 'g',
  vendor: 'nvidia',
  isUnifiedMemory: false,
  vramTotalBytes: 8 * GB,
  vramUsedBytes,
  vramFreeBytes: null,
  utilization: null,
  temperatureCelsius: null,
  powerWatts: null,
  driverVersion: null,
});
const before = { usedBytes: 6 * GB, oursBytes: 5 * GB };
const nobody = { pids: new Set<number>(), processes: null };
const ours = (usedBytes: number | null) => ({
  pids: new Set([7]),
  processes: [
    { pid: 7, usedBytes },
    { pid: 8, usedBytes: 6 * GB },
  ],
});

describe('the memory that we held', () => {
  it.each<[string, Parameters<typeof memoryVerdict>, string]>([
    ['is free when the total fell by it', [before, [gpu(1 * GB)], nobody], 'free'],
    ['is held when it did not', [before, [gpu(6 * GB)], nobody], 'held'],
    ['is held while half of it is', [before, [gpu(3.5 * GB)], nobody], 'held'],
    ['is unknown without a GPU', [before, [], nobody], 'unknown'],
    ['is unknown when a card does not tell', [before, [gpu(1 * GB), gpu(null)], nobody], 'unknown'],
    ['is free when we held nothing', [{ usedBytes: 6 * GB, oursBytes: 0 }, [gpu(6 * GB)], nobody], 'free'],
    ['is free by our processes, though a game filled the card', [before, [gpu(7 * GB)], ours(100e6)], 'free'],
    ['is held by our processes, though the total fell', [before, [gpu(1 * GB)], ours(2 * GB)], 'held'],
    ['is free when none of ours is on the card', [before, [gpu(6 * GB)], { pids: new Set([9]), processes: [] }], 'free'],
    ['goes by the total where memory per process is not told', [before, [gpu(1 * GB)], ours(null)], 'free'],
  ])('%s', (_, given, verdict) => {
    expect(memoryVerdict(...given)).toBe(verdict);
  });
});
