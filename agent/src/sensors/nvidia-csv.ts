import type { Gpu } from '@lai/shared/node';
import { bytesOf, fractionOf, numberIn, wordOf } from './quantity.ts';

/**
 * The columns we ask for, all old enough for every driver that runs a language model: nvidia-smi refuses the whole query over one
 * column that it does not know. The name stands last because it is the only one that could contain a comma.
 */
export const NVIDIA_COLUMNS = [
  'index',
  'uuid',
  'driver_version',
  'memory.total',
  'memory.used',
  'memory.free',
  'utilization.gpu',
  'temperature.gpu',
  'power.draw',
  'name',
] as const;

/** `loopMs` null: one round, then the program ends. */
export const nvidiaArguments = (loopMs: number | null): readonly string[] => [
  `--query-gpu=${NVIDIA_COLUMNS.join(',')}`,
  '--format=csv,noheader,nounits',
  ...(loopMs === null ? [] : [`--loop-ms=${loopMs}`]),
];

export type NvidiaLine =
  | { kind: 'reading'; gpu: Gpu }
  /** nvidia-smi explains itself in prose, on standard output, often with exit status 0. */
  | { kind: 'complaint'; sentence: string }
  | { kind: 'noise' };

const COMPLAINTS: readonly RegExp[] = [
  /NVIDIA-SMI has failed/i,
  /couldn't communicate with the NVIDIA driver/i,
  /Failed to initialize NVML/i,
  /No devices were found/i,
  /Unable to determine the device handle/i,
  /GPU is lost/i,
  /not a valid field to query/i,
  /Insufficient Permissions/i,
  /Driver\/library version mismatch/i,
];

const SENTENCE_LIMIT_CHARACTERS = 300;

/** One line of the CSV stream: sizes in MiB, utilisation in per cent, power in watts, temperature in °C. */
export function parseNvidiaLine(line: string): NvidiaLine {
  const [index, uuid, driver, total, used, free, utilization, temperature, power, ...name] = line.split(',').map((c) => c.trim());
  if (index === undefined || !/^\d+$/.test(index) || power === undefined || name.length === 0) return unreadable(line);
  return {
    kind: 'reading',
    gpu: {
      id: wordOf(uuid ?? '') ?? `nvidia-${index}`,
      name: wordOf(name.join(', ')) ?? 'NVIDIA GPU',
      vendor: 'nvidia',
      isUnifiedMemory: false,
      vramTotalBytes: bytesOf(total ?? '', 'MiB'),
      vramUsedBytes: bytesOf(used ?? '', 'MiB'),
      vramFreeBytes: bytesOf(free ?? '', 'MiB'),
      utilization: fractionOf(utilization ?? ''),
      temperatureCelsius: numberIn('C', temperature ?? ''),
      powerWatts: numberIn('W', power),
      driverVersion: wordOf(driver ?? ''),
    },
  };
}

function unreadable(line: string): NvidiaLine {
  const sentence = line.trim().slice(0, SENTENCE_LIMIT_CHARACTERS);
  return COMPLAINTS.some((pattern) => pattern.test(sentence)) ? { kind: 'complaint', sentence } : { kind: 'noise' };
}
