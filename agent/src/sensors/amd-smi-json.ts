import type { Gpu } from '@lai/shared/node';
import { z } from 'zod';
import type { AmdNames } from './amd-sysfs.ts';
import type { GpuProcess } from './gpu-probe.ts';
import { jsonIn } from './json-in-text.ts';
import { bytesOf, fractionOf, numberIn, wordOf } from './quantity.ts';

/**
 * `amd-smi … --json` (AMD calls its own program example code, and its shapes move): a list, or the list under `gpu_data`; a value
 * is `{value, unit}`, a bare number, or the text `N/A`. Every value is brought back to text with a unit and read like all others.
 */
const measured = z
  .unknown()
  .transform((given): string => {
    if (typeof given === 'number') return String(given);
    if (typeof given === 'string') return given;
    const pair = z.object({ value: z.union([z.number(), z.string()]), unit: z.string().optional() }).safeParse(given);
    return pair.success ? `${pair.data.value} ${pair.data.unit ?? ''}`.trim() : '';
  })
  .catch('');
const text = z.string().catch('');
const section = <T extends z.ZodRawShape>(shape: T) =>
  z.preprocess((value) => (typeof value === 'object' && value !== null ? value : {}), z.object(shape));
/** The program's own number of a card; some versions print it as text. */
const cardNumber = z.coerce.number().int().nonnegative();

const Static = z.object({
  gpu: cardNumber,
  asic: section({ market_name: text }),
  bus: section({ bdf: text }),
  driver: section({ version: text }),
});

const Metric = z.object({
  gpu: cardNumber,
  usage: section({ gfx_activity: measured }),
  power: section({ socket_power: measured }),
  temperature: section({ edge: measured, hotspot: measured }),
  mem_usage: section({ total_vram: measured, used_vram: measured, free_vram: measured }),
});

const ProcessInfo = z.object({
  name: text,
  pid: z.coerce.number().int().positive(),
  memory_usage: section({ vram_mem: measured }),
});
const Processes = z.object({
  gpu: cardNumber,
  // In place of the record stands a sentence when nothing runs; a record that cannot be read is left out alone.
  process_list: z.array(z.object({ process_info: ProcessInfo }).nullable().catch(null)).catch([]),
});

/** One report: `value` null where nothing of it can be read; `complaint` is what else the program printed, or what is wrong with it. */
export type AmdReport<T> = { value: T | null; complaint: string | null };

/** Bus address by amd-smi's own number, with the names that sysfs lacks. */
export type AmdStatic = { names: AmdNames; busByIndex: ReadonlyMap<number, string> };

export function parseAmdStatic(output: string): AmdReport<AmdStatic> {
  return mapped(cardsOf(Static, output), (cards) => ({
    names: new Map(
      cards.map((c) => [c.bus.bdf.toLowerCase(), { name: wordOf(c.asic.market_name), driverVersion: wordOf(c.driver.version) }]),
    ),
    busByIndex: new Map(cards.map((c) => [c.gpu, c.bus.bdf.toLowerCase()])),
  }));
}

/** Readings for machines whose sysfs we may not read (containers). */
export function parseAmdMetric(output: string, known: AmdStatic | null): AmdReport<readonly Gpu[]> {
  return mapped(cardsOf(Metric, output), (cards) =>
    cards.map((card) => {
      const bus = known?.busByIndex.get(card.gpu);
      const names = known?.names.get(bus ?? '');
      const vramTotalBytes = bytesOf(card.mem_usage.total_vram, 'MB');
      const vramUsedBytes = bytesOf(card.mem_usage.used_vram, 'MB');
      const difference = vramTotalBytes === null || vramUsedBytes === null ? null : Math.max(vramTotalBytes - vramUsedBytes, 0);
      return {
        id: `amd-${bus || card.gpu}`,
        name: names?.name ?? 'AMD GPU',
        vendor: 'amd',
        isUnifiedMemory: false,
        vramTotalBytes,
        vramUsedBytes,
        vramFreeBytes: bytesOf(card.mem_usage.free_vram, 'MB') ?? difference,
        utilization: fractionOf(card.usage.gfx_activity),
        temperatureCelsius: numberIn('C', card.temperature.edge) ?? numberIn('C', card.temperature.hotspot),
        powerWatts: numberIn('W', card.power.socket_power),
        driverVersion: names?.driverVersion ?? null,
      };
    }),
  );
}

export function parseAmdProcesses(output: string, known: AmdStatic | null): AmdReport<readonly GpuProcess[]> {
  return mapped(cardsOf(Processes, output), (cards) =>
    cards.flatMap((card) =>
      card.process_list.flatMap((entry): GpuProcess[] =>
        entry === null
          ? []
          : [
              {
                pid: entry.process_info.pid,
                name: wordOf(entry.process_info.name),
                // amd-smi does not tell drawing from computing; "both" keeps a game a possible game.
                kind: 'both',
                usedBytes: bytesOf(entry.process_info.memory_usage.vram_mem),
                gpuId: `amd-${known?.busByIndex.get(card.gpu) || card.gpu}`,
              },
            ],
      ),
    ),
  );
}

const mapped = <T, R>({ value, complaint }: AmdReport<T>, map: (value: T) => R): AmdReport<R> => ({
  value: value === null ? null : map(value),
  complaint,
});

/** Cards that can be read; one that cannot is left out, and that is told. */
function cardsOf<T extends z.ZodType<{ gpu: number }>>(card: T, output: string): AmdReport<z.infer<T>[]> {
  const { value, rest } = jsonIn(output);
  const list = value !== null && typeof value === 'object' && 'gpu_data' in value ? value.gpu_data : value;
  const told = rest === '' ? null : `amd-smi says: ${rest}`;
  if (!Array.isArray(list)) return { value: null, complaint: told ?? 'amd-smi printed nothing that can be read.' };
  const read = list.map((entry) => card.safeParse(entry));
  const unread = read.filter(({ success }) => !success).length;
  // A card printed twice stays one card.
  const byNumber = new Map(read.flatMap(({ data }) => (data === undefined ? [] : [[data.gpu, data] as const])));
  const cards = [...byNumber.values()];
  if (unread === 0) return { value: cards, complaint: told };
  return {
    value: cards.length === 0 ? null : cards,
    complaint: told ?? `amd-smi told of ${unread} cards in a form that is not known.`,
  };
}
