import type { Gpu } from '@lai/shared/node';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from './__fixtures__/fixture.ts';
import { GpuReadings } from './gpu-readings.ts';

const gpu = (id: string, used: number): Gpu => ({
  id,
  name: 'Card',
  vendor: 'unknown',
  isUnifiedMemory: false,
  vramTotalBytes: 100,
  vramUsedBytes: used,
  vramFreeBytes: 100 - used,
  utilization: 0,
  temperatureCelsius: 40,
  powerWatts: 10,
  driverVersion: '1',
});

describe('the last known readings', () => {
  const clock = { nowMs: 0 };
  let readings: GpuReadings;
  const make = (): GpuReadings => {
    clock.nowMs = 0;
    readings = new GpuReadings({ staleAfterMs: 1_000, nowMs: () => clock.nowMs });
    return readings;
  };

  afterEach(() => readings.close());

  it('grow stale one GPU at a time: name and size stay, the rest is not known', () => {
    make().put([gpu('a', 1), gpu('b', 2)]);
    clock.nowMs = 900;
    readings.put([gpu('b', 3)]);
    clock.nowMs = 1_001;
    expect(readings.read().map((g) => [g.id, g.vramTotalBytes, g.vramUsedBytes, g.driverVersion])).toEqual([
      ['a', 100, null, '1'],
      ['b', 100, 3, '1'],
    ]);
  });

  it('are told of once for several cards of one round, and not at all when nothing changed', async () => {
    make();
    const heard: number[] = [];
    readings.onChange(() => heard.push(readings.read().length));
    readings.put([gpu('a', 1)]);
    readings.put([gpu('b', 1)]);
    await until('the notice', () => heard.length > 0);
    expect(heard).toEqual([2]);
    readings.put([gpu('a', 1)]);
    readings.put([gpu('b', 2)]);
    await until('the next notice', () => heard.length > 1);
    readings.put([gpu('b', 2)]);
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    expect(heard).toHaveLength(2);
  });
});
