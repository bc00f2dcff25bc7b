import { describe, expect, it } from 'vitest';
import { busyInStat, familyCpuInStat } from './conditions.ts';

describe('what else the machine did', () => {
  it('everything but idle and waiting for disks is busy', () => {
    expect(busyInStat('cpu  100 200 300 9999 8888 10 20 70 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n')).toBe(7);
  });

  it('our own part holds those of ours that have ended', () => {
    expect(familyCpuInStat('1 (a b) S 0 1 1 0 -1 0 0 0 0 0 100 50 200 50 20 0 1 0 0 0 0')).toBe(4);
  });
});
