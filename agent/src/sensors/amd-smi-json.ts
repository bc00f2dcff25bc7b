import type { Gpu } from '@lai/shared/node';
import { z } from 'zod';
import type { AmdNames } from './amd-sysfs.ts';
import type { GpuProcess } from './gpu-probe.ts';
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
const entries = <T extends z.ZodType>(entry: T) =>
  z.preprocess(
    (root) => (root !== null && typeof root === 'object' && 'gpu_data' in root ? root.gpu_data : root),
    z.array(entry),
  );

const Static = entries(
  z.object({
    gpu: z.number().int(),
    asic: section({ market_name: text }),
    bus: section({ bdf: text }),
    driver: section({ version: text }),
  }),
);

const Metric = entries(
  z.object({
    gpu: z.number().int(),
    usage: section({ gfx_activity: measured }),
    power: section({ socket_power: measured }),
    temperature: section({ edge: measured, hotspot: measured }),
    mem_usage: section({ total_vram: measured, used_vram: measured, free_vram: measured }),
  }),
);

const ProcessInfo = z.object({ name: text, pid: z.number().int().positive(), memory_usage: section({ vram_mem: measured }) });
const Processes = entries(
  // In place of the record stands a sentence when nothing runs.
  z.object({
    gpu: z.number().int(),
    process_list: z.array(z.object({ process_info: z.union([ProcessInfo, z.string()]) })).catch([]),
  }),
);

/** Bus address by amd-smi's own number, with the names that sysfs lacks. */
export type AmdStatic = { names: AmdNames; busByIndex: ReadonlyMap<number, string> };

export function parseAmdStatic(json: string): AmdStatic | null {
  const cards = parsed(Static, json);
  if (cards === null) return null;
  return {
    names: new Map(
      cards.map((c) => [c.bus.bdf.toLowerCase(), { name: wordOf(c.asic.market_name), driverVersion: wordOf(c.driver.version) }]),
    ),
    busByIndex: new Map(cards.map((c) => [c.gpu, c.bus.bdf.toLowerCase()])),
  };
}

/** Readings for machines whose sysfs we may not read (containers). */
export function parseAmdMetric(json: string, known: AmdStatic | null): readonly Gpu[] | null {
  const cards = parsed(Metric, json);
  return (
    cards?.map((card) => {
      const bus = known?.busByIndex.get(card.gpu);
      const names = known?.names.get(bus ?? '');
      const vramTotalBytes = bytesOf(card.mem_usage.total_vram, 'MB');
      const vramUsedBytes = bytesOf(card.mem_usage.used_vram, 'MB');
      const difference = vramTotalBytes === null || vramUsedBytes === null ? null : Math.max(vramTotalBytes - vramUsedBytes, 0);
      return {
        id: `amd-${bus ?? card.gpu}`,
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
    }) ?? null
  );
}

export function parseAmdProcesses(json: string, known: AmdStatic | null): readonly GpuProcess[] | null {
  const cards = parsed(Processes, json);
  return (
    cards?.flatMap((card) =>
      card.process_list.flatMap(({ process_info: info }): GpuProcess[] =>
        typeof info === 'string'
          ? []
          : [
              {
                pid: info.pid,
                name: wordOf(info.name),
                // amd-smi does not tell drawing from computing; "both" keeps a game a possible game.
                kind: 'both',
                usedBytes: bytesOf(info.memory_usage.vram_mem),
                gpuId: `amd-${known?.busByIndex.get(card.gpu) ?? card.gpu}`,
              },
            ],
      ),
    ) ?? null
  );
}

function parsed<T extends z.ZodType>(schema: T, json: string): z.infer<T> | null {
  try {
    return schema.safeParse(JSON.parse(json)).data ?? null;
  } catch {
    return null;
  }
}
