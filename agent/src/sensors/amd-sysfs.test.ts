import { Gpu } from '@lai/shared/node';
import { describe, expect, it } from 'vitest';
import { fixturePath } from './__fixtures__/fixture.ts';
import { readAmdCards } from './amd-files.ts';
import { amdGpus, isAmdCard } from './amd-sysfs.ts';

const gpusOf = async (tree: string, names?: Parameters<typeof amdGpus>[1]): Promise<readonly Gpu[]> =>
  amdGpus(await readAmdCards(fixturePath(`amd/${tree}`)), names).map((gpu) => Gpu.parse(gpu));

describe('AMD cards in sysfs', () => {
  it('gives bytes, a fraction, degrees and watts of a card', async () => {
    expect(await gpusOf('sysfs-rx6700xt')).toEqual([
      {
        id: 'amd-0000:0b:00.0',
        name: 'AMD GPU (1002:73DF)',
        vendor: 'amd',
        isUnifiedMemory: false,
        vramTotalBytes: 12868124672,
        vramUsedBytes: 1494925312,
        vramFreeBytes: 12868124672 - 1494925312,
        utilization: 0.07,
        temperatureCelsius: 49,
        powerWatts: 31,
        driverVersion: null,
      },
    ]);
  });

  it('takes name and driver version from amd-smi where it is installed', async () => {
    const names = new Map([['0000:0b:00.0', { name: 'AMD Radeon RX 6700 XT', driverVersion: '6.12.12' }]]);
    expect((await gpusOf('sysfs-rx6700xt', names))[0]).toMatchObject({ name: 'AMD Radeon RX 6700 XT', driverVersion: '6.12.12' });
  });

  it('counts the system memory that an integrated GPU may map when it is the only one', async () => {
    const [gpu] = await gpusOf('sysfs-strix-halo');
    expect(gpu).toMatchObject({
      isUnifiedMemory: true,
      vramTotalBytes: 536870912 + 103079215104,
      vramUsedBytes: 201302016 + 41234567168,
      powerWatts: 84.05,
    });
  });

  it('counts only its carve-out beside a card with memory of its own', async () => {
    const gpus = await gpusOf('sysfs-discrete-and-integrated');
    expect(gpus.map((gpu) => [gpu.id, gpu.isUnifiedMemory, gpu.vramTotalBytes])).toEqual([
      ['amd-0000:03:00.0', false, 25753026560],
      ['amd-0000:10:00.0', false, 536870912],
    ]);
  });

  it('does not wake a sleeping card for its sensors', async () => {
    const [sleeping] = await gpusOf('sysfs-discrete-and-integrated');
    expect(sleeping).toMatchObject({ utilization: null, temperatureCelsius: null, powerWatts: null, vramUsedBytes: 27856896 });
  });

  it('sees no AMD card in an Intel machine or where there is no sysfs', async () => {
    expect((await readAmdCards(fixturePath('amd/sysfs-intel'))).filter(isAmdCard)).toEqual([]);
    expect(await readAmdCards('/nowhere')).toEqual([]);
  });
});
