import { Gpu } from '@lai/shared/node';
import { describe, expect, it } from 'vitest';
import { fixture, fixtureLines } from './__fixtures__/fixture.ts';
import { NVIDIA_COLUMNS, nvidiaArguments, parseNvidiaLine } from './nvidia-csv.ts';

const MiB = 2 ** 20;

const gpuOf = (line: string): Gpu => {
  const parsed = parseNvidiaLine(line);
  if (parsed.kind !== 'reading') throw new Error(`not a reading: ${line}`);
  return Gpu.parse(parsed.gpu);
};

describe('a line of nvidia-smi --format=csv,noheader,nounits', () => {
  it('gives bytes, a fraction, degrees and watts', async () => {
    const [line = ''] = await fixtureLines('nvidia/one-gpu.csv');
    expect(gpuOf(line)).toEqual({
      id: 'GPU-3a1f0c52-9d7e-4b86-a1c4-5e0f7b2d9c11',
      name: 'NVIDIA GeForce RTX 3070',
      vendor: 'nvidia',
      isUnifiedMemory: false,
      vramTotalBytes: 8192 * MiB,
      vramUsedBytes: 412 * MiB,
      vramFreeBytes: 7595 * MiB,
      utilization: 0.03,
      temperatureCelsius: 41,
      powerWatts: 18.42,
      driverVersion: '570.133.07',
    });
  });

  it('tells two cards apart by their UUID', async () => {
    const gpus = (await fixtureLines('nvidia/two-gpus.csv')).map(gpuOf);
    expect(new Set(gpus.map((gpu) => gpu.id)).size).toBe(2);
  });

  it('keeps a utilisation of zero', async () => {
    const [, idle = ''] = await fixtureLines('nvidia/two-gpus.csv');
    expect(gpuOf(idle).utilization).toBe(0);
  });

  it('reads what Windows prints, carriage return included', async () => {
    expect(gpuOf((await fixture('nvidia/wddm.csv')).trimEnd())).toMatchObject({
      name: 'NVIDIA GeForce RTX 4070',
      vramFreeBytes: 10137 * MiB,
    });
  });

  it('turns every way to say "cannot tell" into null, and keeps the rest of the line', async () => {
    const [unified = '', restricted = '', lost = ''] = await fixtureLines('nvidia/not-available.csv');
    expect(gpuOf(unified)).toMatchObject({ isUnifiedMemory: true, vramTotalBytes: null, vramFreeBytes: null, utilization: 0.12 });
    expect(gpuOf(restricted)).toMatchObject({
      isUnifiedMemory: false,
      vramTotalBytes: 24564 * MiB,
      vramFreeBytes: null,
      utilization: null,
      powerWatts: null,
    });
    expect(gpuOf(lost)).toMatchObject({ id: 'nvidia-0', name: 'NVIDIA GPU', isLost: true, temperatureCelsius: null });
  });

  it.each([
    [
      '0, GPU-1, 540.4.0, [N/A], [N/A], [N/A], [N/A], [N/A], [N/A], Orin (nvgpu)',
      { isUnifiedMemory: true, name: 'Orin (nvgpu)' },
    ],
    ['0, GPU-1, 540.4.0, [Not Supported], [Not Supported], [Not Supported], 3, 41, 5.10, NVIDIA Thor', { isUnifiedMemory: true }],
    ['0, GPU-1, 540.4.0, [Insufficient Permissions], , , , , , NVIDIA A100', { isUnifiedMemory: false, vramTotalBytes: null }],
    [
      '0, GPU-1, 570.1, 8192 MiB, 1 MiB, 8191 MiB, 12 %, 30, 10,25 W, NVIDIA Thing',
      { vramFreeBytes: 8191 * MiB, utilization: 0.12 },
    ],
    ['0, GPU-1, 570.1, 8192, 1, 8191, 0, 30, 341,27, NVIDIA Thing', { powerWatts: 341.27, name: 'NVIDIA Thing' }],
    ['0, GPU-1, 570.1, 8192', { vramTotalBytes: 8192 * MiB, vramFreeBytes: null, name: 'NVIDIA GPU' }],
    ['0, GPU-1', { id: 'GPU-1', vramTotalBytes: null, isUnifiedMemory: false }],
  ])('reads %j as far as it goes', (line, facts) => {
    expect(gpuOf(line)).toMatchObject(facts);
  });

  it('keeps a comma in the name', () => {
    expect(gpuOf('0, GPU-1, 570.1, 8192, 1, 8191, 0, 30, 10.00, NVIDIA Thing, Special Edition').name).toBe(
      'NVIDIA Thing, Special Edition',
    );
  });

  it.each(['no-driver', 'no-devices', 'insufficient-permissions', 'version-mismatch', 'gpu-lost', 'unknown-field'])(
    'recognises the complaint %s',
    async (name) => {
      const [line = ''] = await fixtureLines(`nvidia/${name}.txt`);
      expect(parseNvidiaLine(line)).toMatchObject({ kind: 'complaint', sentence: line });
    },
  );

  it.each([
    ['Unable to determine the device handle for GPU1: 0000:0A:00.0: Unknown Error', { index: 1, bus: '0000:0a:00.0' }],
    ['Unable to determine the device handle for GPU0000:01:00.0: GPU is lost.', { index: null, bus: '0000:01:00.0' }],
    ['Unable to determine the device handle for GPU 00000000:01:00.0: Not Found', { index: null, bus: '00000000:01:00.0' }],
    ['No devices were found', null],
  ])('knows which card %j is about', (line, names) => {
    expect(parseNvidiaLine(line)).toEqual({ kind: 'complaint', sentence: line, names });
  });

  it.each(['', ' ', '\r', 'index, uuid, driver_version'])('takes %j for noise', (line) => {
    expect(parseNvidiaLine(line)).toEqual({ kind: 'noise' });
  });

  it.each([
    ['\u0000\u0001 not, a, reading', 'not, a, reading'],
    ['zero, GPU-1, 570.1, 8192', 'zero, GPU-1, 570.1, 8192'],
    ['Der Treiber antwortet nicht', 'Der Treiber antwortet nicht'],
  ])('tells %j, which it cannot read, without control characters', (line, sentence) => {
    expect(parseNvidiaLine(line)).toEqual({ kind: 'complaint', sentence, names: null });
  });

  it('asks for exactly the columns that it reads', () => {
    expect(nvidiaArguments(2_000)).toEqual([
      `--query-gpu=${NVIDIA_COLUMNS.join(',')}`,
      '--format=csv,noheader,nounits',
      '--loop-ms=2000',
    ]);
    expect(nvidiaArguments(null)).toHaveLength(2);
    expect(NVIDIA_COLUMNS.at(-1)).toBe('name');
  });
});
