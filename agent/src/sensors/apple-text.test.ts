import { Gpu } from '@lai/shared/node';
import { describe, expect, it } from 'vitest';
import { fixture } from './__fixtures__/fixture.ts';
import { appleGpu, parseIoreg, parseSysctl, workingSetBytes } from './apple-text.ts';

const GiB = 2 ** 30;

describe('the working set of an Apple GPU', () => {
  it.each([
    [8, 0, (8 * 2) / 3],
    [16, 0, (16 * 2) / 3],
    [36, 0, 24],
    [48, 0, 36],
    [64, 0, 48],
    [192, 0, 144],
    [256, 240 * 1024, 240],
    [16, null, (16 * 2) / 3],
    [16, 64 * 1024, 16],
  ])('of %i GiB with a limit of %j MiB is %f GiB', (memoryGib, wiredLimitMib, expectedGib) => {
    expect(workingSetBytes({ memoryBytes: memoryGib * GiB, wiredLimitMib })).toBe(Math.floor(expectedGib * GiB));
  });

  it('is not known when memory is not', () => {
    expect(workingSetBytes({ memoryBytes: null, wiredLimitMib: 1024 })).toBeNull();
  });
});

describe('sysctl and ioreg', () => {
  it('are read together into one GPU that shares memory', async () => {
    const memory = parseSysctl(await fixture('apple/sysctl-m1-16gb.txt'));
    const gpu = appleGpu(memory, parseIoreg(await fixture('apple/ioreg-m1.txt')));
    const total = Math.floor((16 * GiB * 2) / 3);
    expect(Gpu.parse(gpu)).toEqual({
      id: 'apple-0',
      name: 'Apple M1',
      vendor: 'apple',
      isUnifiedMemory: true,
      vramTotalBytes: total,
      vramUsedBytes: 5 * GiB,
      vramFreeBytes: total - 5 * GiB,
      utilization: 0.96,
      temperatureCelsius: null,
      powerWatts: null,
      driverVersion: null,
    });
  });

  it('respect a limit that the owner set', async () => {
    const gpu = appleGpu(parseSysctl(await fixture('apple/sysctl-m3-ultra-limit.txt')), null);
    expect(gpu).toMatchObject({ vramTotalBytes: 240 * GiB, vramUsedBytes: null, vramFreeBytes: null });
  });

  it('promise nothing under critical memory pressure, on a macOS that lacks one of the names', async () => {
    const memory = parseSysctl(await fixture('apple/sysctl-old-macos.txt'));
    expect(memory).toMatchObject({ wiredLimitMib: null, pressureLevel: 4 });
    expect(appleGpu(memory, { inUseBytes: 0, utilization: 0 }).vramFreeBytes).toBe(0);
  });

  it('give the busiest of two accelerators', async () => {
    expect(parseIoreg(await fixture('apple/ioreg-two-accelerators.txt'))).toEqual({ inUseBytes: 314572800, utilization: 0.71 });
  });

  it('do not take the driver’s share for the whole', () => {
    expect(parseIoreg('"PerformanceStatistics" = {"In use system memory (driver)"=7}')).toEqual({
      inUseBytes: null,
      utilization: null,
    });
  });

  it.each(['', 'garbage'])('read %j as not known', (text) => {
    expect(parseSysctl(text).memoryBytes).toBeNull();
    expect(parseIoreg(text)).toBeNull();
  });
});
