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

/** The card that a sentence is about, as far as it says: its index, its bus address or both. */
export type NamedCard = { index: number | null; bus: string };

export type NvidiaLine =
  /** `vramTotalBytes` is null and `isUnifiedMemory` true where the card has no memory of its own (GB10, Orin). */
  | { kind: 'reading'; index: number; gpu: Gpu }
  /** nvidia-smi explains itself in prose, on standard output, often with exit status 0. */
  | { kind: 'complaint'; sentence: string; names: NamedCard | null }
  | { kind: 'noise' };

const SENTENCE_LIMIT_CHARACTERS = 300;
const UUID = /^(?:GPU|MIG)-\S+$/;
const HEADER = /^index\s*,/i;
const LOST = /GPU is lost/i;
const UNREADABLE = /Unknown Error|^ERR!$/i;
/** What nvidia-smi prints for memory that the card does not have; missing rights and errors have words of their own. */
const NO_SUCH_MEMORY = /^\[?(?:N\/A|Not Supported|Not Available)\]?$/i;
/** `GPU1: 0000:0A:00.0` in newer drivers, `GPU0000:01:00.0` or `GPU 0000:01:00.0` in older ones. */
const NAMED_CARD = /GPU\s?(?:(\d+):\s)?([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f])/i;

/** One line of the CSV stream: sizes in MiB, utilization in percent, power in watts, temperature in °C. A short row gives what it has. */
export function parseNvidiaLine(line: string): NvidiaLine {
  const [indexText = '', uuid = '', driver = '', total = '', used = '', free = '', utilization = '', temperature = '', ...rest] =
    line.split(',').map((cell) => cell.trim());
  const { power, name } = powerAndName(rest);
  if (!/^\d{1,4}$/.test(indexText) || uuid === '') return proseOf(line);
  const index = Number(indexText);
  return {
    kind: 'reading',
    index,
    gpu: {
      id: UUID.test(uuid) ? uuid : `nvidia-${index}`,
      name: wordOf(name) ?? 'NVIDIA GPU',
      vendor: 'nvidia',
      isUnifiedMemory: NO_SUCH_MEMORY.test(total),
      ...(LOST.test(line) || UNREADABLE.test(total) ? { isLost: true } : {}),
      vramTotalBytes: bytesOf(total, 'MiB'),
      vramUsedBytes: bytesOf(used, 'MiB'),
      vramFreeBytes: bytesOf(free, 'MiB'),
      utilization: fractionOf(utilization),
      temperatureCelsius: numberIn('C', temperature),
      powerWatts: numberIn('W', power),
      driverVersion: wordOf(driver),
    },
  };
}

/** A decimal comma makes two cells of the power; no name begins with a cell of one or two digits. */
function powerAndName([power = '', ...name]: readonly string[]): { power: string; name: string } {
  const isCut = /^\d+$/.test(power) && /^\d{1,2}$/.test(name[0] ?? '') && name.length > 1;
  return isCut ? { power: `${power}.${name[0]}`, name: name.slice(1).join(', ') } : { power, name: name.join(', ') };
}

/** Whatever is neither a row nor a header is told: nobody can know beforehand in which words a driver explains itself. */
function proseOf(line: string): NvidiaLine {
  const sentence = line
    .replaceAll(/\p{C}+/gu, ' ')
    .trim()
    .slice(0, SENTENCE_LIMIT_CHARACTERS);
  if (sentence === '' || HEADER.test(sentence)) return { kind: 'noise' };
  const named = NAMED_CARD.exec(sentence);
  const names = named?.[2] ? { index: named[1] === undefined ? null : Number(named[1]), bus: named[2].toLowerCase() } : null;
  return { kind: 'complaint', sentence, names };
}
