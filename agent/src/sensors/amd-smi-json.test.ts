import { Gpu } from '@lai/shared/node';
import { describe, expect, it } from 'vitest';
import { fixture } from './__fixtures__/fixture.ts';
import { parseAmdMetric, parseAmdProcesses, parseAmdStatic } from './amd-smi-json.ts';

const MiB = 2 ** 20;

describe('amd-smi --json', () => {
  it('names the cards by their bus address, in the spelling of sysfs', async () => {
    const known = parseAmdStatic(await fixture('amd/amd-smi-static.json'));
    expect(known?.names.get('0000:0b:00.0')).toEqual({ name: 'AMD Radeon RX 6700 XT', driverVersion: '6.12.12' });
  });

  it('gives readings from a bare list', async () => {
    const known = parseAmdStatic(await fixture('amd/amd-smi-static.json'));
    const [gpu] = parseAmdMetric(await fixture('amd/amd-smi-metric.json'), known) ?? [];
    expect(Gpu.parse(gpu)).toMatchObject({
      id: 'amd-0000:0b:00.0',
      name: 'AMD Radeon RX 6700 XT',
      vramTotalBytes: 12272 * MiB,
      vramUsedBytes: 4133 * MiB,
      vramFreeBytes: 8139 * MiB,
      utilization: 0.37,
      temperatureCelsius: 55,
      powerWatts: 88,
    });
  });

  it('gives readings from a list under gpu_data, with N/A in place of whole sections', async () => {
    const [gpu] = parseAmdMetric(await fixture('amd/amd-smi-metric-restricted.json'), null) ?? [];
    expect(Gpu.parse(gpu)).toMatchObject({
      id: 'amd-0',
      vramTotalBytes: 294896 * MiB,
      vramFreeBytes: (294896 - 283) * MiB,
      utilization: null,
      powerWatts: null,
      temperatureCelsius: 36,
    });
  });

  it('lists processes, and takes "No running processes detected" for an empty list', async () => {
    const known = parseAmdStatic(await fixture('amd/amd-smi-static.json'));
    expect(parseAmdProcesses(await fixture('amd/amd-smi-process.json'), known)).toEqual([
      { pid: 21354, name: '/usr/lib/ollama/llama-server', kind: 'both', usedBytes: 4271153152, gpuId: 'amd-0000:0b:00.0' },
      { pid: 2290, name: null, kind: 'both', usedBytes: null, gpuId: 'amd-0000:0b:00.0' },
    ]);
  });

  it.each(['', 'no json', 'null', '{}', '{"gpu_data":"N/A"}'])('reads %j as not known', (json) => {
    expect([parseAmdStatic(json), parseAmdMetric(json, null), parseAmdProcesses(json, null)]).toEqual([null, null, null]);
  });
});
