import { z } from 'zod';
import type { GpuProcess } from './gpu-probe.ts';
import { bytesOf, fractionOf, numberIn, wordOf } from './quantity.ts';

/** One card as `nvidia-smi -q -x` tells it: slower than the CSV stream, and it knows the programs on the card. */
export type NvidiaCard = {
  id: string;
  name: string;
  /** `WDDM` means a Windows display driver: memory per process is never told. */
  driverModel: string | null;
  vramTotalBytes: number | null;
  vramUsedBytes: number | null;
  vramFreeBytes: number | null;
  utilization: number | null;
  temperatureCelsius: number | null;
  powerWatts: number | null;
  /** Null where nvidia-smi prints `N/A` instead of a list (WSL, missing rights). */
  processes: readonly GpuProcess[] | null;
};

export type NvidiaInventory = { driverVersion: string | null; cards: readonly NvidiaCard[] };

export type NvidiaTree = { kind: 'inventory'; inventory: NvidiaInventory } | { kind: 'unreadable'; reason: string };

const text = z.string().catch('');
/** xml2js gives an object for one element and an array for several. */
const listOf = <T extends z.ZodType>(item: T) =>
  z.preprocess((value) => (value === undefined || value === '' ? [] : Array.isArray(value) ? value : [value]), z.array(item));
/** A section is missing in one schema version or replaced by the text `N/A` in another; then every field of it is not known. */
const section = <T extends z.ZodRawShape>(shape: T) =>
  z.preprocess((value) => (typeof value === 'object' && value !== null ? value : {}), z.object(shape));

const ProcessInfo = z.object({ pid: text, type: text, process_name: text, used_memory: text });

const Card = z.object({
  uuid: text,
  product_name: text,
  driver_model: section({ current_dm: text }),
  fb_memory_usage: section({ total: text, used: text, free: text }),
  utilization: section({ gpu_util: text }),
  temperature: section({ gpu_temp: text }),
  // Schema 13 has instant and average, schema 12 power_draw, schema 11 another section altogether.
  gpu_power_readings: section({ instant_power_draw: text, power_draw: text, average_power_draw: text }),
  power_readings: section({ power_draw: text }),
  processes: z.union([z.object({ process_info: listOf(ProcessInfo) }), z.string()]).optional(),
});
type Card = z.infer<typeof Card>;

const Tree = z.object({ nvidia_smi_log: z.object({ driver_version: text, gpu: listOf(Card) }) });

/** Reads the tree that xml2js makes of `nvidia-smi -q -x`; all values in it are text with units. */
export function parseNvidiaTree(tree: unknown): NvidiaTree {
  const parsed = Tree.safeParse(tree);
  if (!parsed.success) return { kind: 'unreadable', reason: `nvidia-smi -q -x: ${z.prettifyError(parsed.error)}` };
  const log = parsed.data.nvidia_smi_log;
  return {
    kind: 'inventory',
    inventory: { driverVersion: wordOf(log.driver_version), cards: log.gpu.map((card, index) => cardOf(card, index)) },
  };
}

function cardOf(card: Card, index: number): NvidiaCard {
  const id = wordOf(card.uuid) ?? `nvidia-${index}`;
  const vramTotalBytes = bytesOf(card.fb_memory_usage.total);
  const { instant_power_draw, power_draw, average_power_draw } = card.gpu_power_readings;
  return {
    id,
    name: wordOf(card.product_name) ?? 'NVIDIA GPU',
    driverModel: wordOf(card.driver_model.current_dm),
    vramTotalBytes,
    vramUsedBytes: bytesOf(card.fb_memory_usage.used),
    vramFreeBytes: bytesOf(card.fb_memory_usage.free),
    utilization: fractionOf(card.utilization.gpu_util),
    temperatureCelsius: numberIn('C', card.temperature.gpu_temp),
    powerWatts: firstKnown([instant_power_draw, power_draw, card.power_readings.power_draw, average_power_draw]),
    processes: processesOf(card.processes, { gpuId: id, vramTotalBytes }),
  };
}

const firstKnown = (watts: readonly string[]): number | null =>
  watts.map((text) => numberIn('W', text)).find((value) => value !== null) ?? null;

const KINDS: Readonly<Record<string, GpuProcess['kind']>> = {
  C: 'compute',
  G: 'graphics',
  'C+G': 'both',
  M: 'compute',
  'M+C': 'compute',
};

function processesOf(
  section: Card['processes'],
  card: { gpuId: string; vramTotalBytes: number | null },
): readonly GpuProcess[] | null {
  if (section === undefined) return null;
  // An empty element is an empty list; a word in its place is a refusal.
  if (typeof section === 'string') return section.trim() === '' ? [] : null;
  return section.process_info.flatMap((info): GpuProcess[] => {
    const pid = numberIn('', info.pid);
    const kind = KINDS[info.type.trim()];
    if (pid === null || kind === undefined) return [];
    const usedBytes = bytesOf(info.used_memory);
    // "Not available" is all ones in NVML, and some drivers printed that as a size.
    const isPossible = usedBytes !== null && (card.vramTotalBytes === null || usedBytes <= card.vramTotalBytes);
    const name = wordOf(info.process_name);
    return [
      {
        pid,
        name: name === 'Insufficient Permissions' ? null : name,
        kind,
        usedBytes: isPossible ? usedBytes : null,
        gpuId: card.gpuId,
      },
    ];
  });
}
