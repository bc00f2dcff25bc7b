import { Gpu } from '@lai/shared/node';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fixture } from './__fixtures__/fixture.ts';
import { parseAmdMetric, parseAmdProcesses, parseAmdStatic } from './amd-smi-json.ts';

const MiB = 2 ** 20;

describe('amd-smi --json', () => {
  it('names the cards by their bus address, in the spelling of sysfs', async () => {
    const known = parseAmdStatic(await fixture('amd/amd-smi-static.json')).value;
    expect(known?.names.get('0000:0b:00.0')).toEqual({ name: 'AMD Radeon RX 6700 XT', driverVersion: '6.12.12' });
  });

  it('gives readings from a bare list', async () => {
    const known = parseAmdStatic(await fixture('amd/amd-smi-static.json')).value;
    const [gpu] = parseAmdMetric(await fixture('amd/amd-smi-metric.json'), known).value ?? [];
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
    const [gpu] = parseAmdMetric(await fixture('amd/amd-smi-metric-restricted.json'), null).value ?? [];
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
    const known = parseAmdStatic(await fixture('amd/amd-smi-static.json')).value;
    expect(parseAmdProcesses(await fixture('amd/amd-smi-process.json'), known).value).toEqual([
      { pid: 21354, name: '/usr/lib/ollama/llama-server', kind: 'both', usedBytes: 4271153152, gpuId: 'amd-0000:0b:00.0' },
      { pid: 2290, name: null, kind: 'both', usedBytes: null, gpuId: 'amd-0000:0b:00.0' },
    ]);
  });

  it.each(['', 'no json', 'null', '{}', '{"gpu_data":"N/A"}', '[{"gpu":"first"}]', '[1]'])(
    'says what is wrong with %j',
    (output) => {
      const reports = [parseAmdStatic(output), parseAmdMetric(output, null), parseAmdProcesses(output, null)];
      for (const { value, complaint } of reports) expect([value, complaint]).toEqual([null, expect.stringContaining('amd-smi')]);
    },
  );

  it('takes an empty list for no card at all', () => {
    expect(parseAmdMetric('[]', null)).toEqual({ value: [], complaint: null });
  });

  const WARNINGS = [
    'WARNING: User is missing the following required groups: render, video. Please add user to these groups.',
    '[WARNING] {groups} missing',
    '[1] warning',
    'AVERTISSEMENT : « accès refusé » à /dev/kfd',
  ];
  it.each(WARNINGS)('reads past %j, before and after the report, and tells it', async (warning) => {
    const clean = await fixture('amd/amd-smi-metric.json');
    for (const output of [`${warning}\n${clean}`, `${clean}\n${warning}`, `${warning}\r\n${clean}${warning}`]) {
      const { value, complaint } = parseAmdMetric(output, null);
      expect(value).toEqual(parseAmdMetric(clean, null).value);
      expect(complaint).toContain(warning);
    }
  });

  it('keeps the cards that it can read when one of them is odd', () => {
    const good = { gpu: '1', mem_usage: { total_vram: { value: '24.560', unit: 'MB' }, used_vram: NaN } };
    const { value, complaint } = parseAmdMetric(JSON.stringify([{ gpu: null }, good, 'N/A', good]), null);
    expect(value?.map(({ id }) => id)).toEqual(['amd-0', 'amd-1']);
    expect(complaint).toMatch(/told of 1 cards in a form/);
  });

  it('never throws, and gives only what the contract accepts, whatever happens to the report', async () => {
    const captured = [await fixture('amd/amd-smi-metric.json'), await fixture('amd/amd-smi-metric-restricted.json')];
    const odd = fc.constantFrom('"N/A"', 'NaN', '-1', '1e999', '""', 'null', '[]', '{}', '"1,5"', '{"value":"N/A"}', 'true');
    const cut = fc.record({ from: fc.nat(2_000), length: fc.nat(40), text: fc.oneof(odd, fc.string()) });
    fc.assert(
      fc.property(fc.constantFrom(...captured), fc.array(cut, { maxLength: 5 }), (report, cuts) => {
        const output = cuts.reduce(
          (text, { from, length, text: put }) => text.slice(0, from) + put + text.slice(from + length),
          report,
        );
        const { value, complaint } = parseAmdMetric(output, null);
        expect(value !== null || complaint !== null).toBe(true);
        for (const gpu of value ?? []) Gpu.parse(gpu);
      }),
      { numRuns: 500 },
    );
  });
});
