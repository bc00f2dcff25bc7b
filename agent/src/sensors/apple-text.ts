import type { Gpu } from '@lai/shared/node';
import { numberIn } from './quantity.ts';

export type AppleMemory = {
  memoryBytes: number | null;
  /** 0 means Apple's own rule; anything else is a limit that the owner set, until the next start of the machine. */
  wiredLimitMib: number | null;
  /** 1 normal, 2 warning, 4 critical (`kern.memorystatus_vm_pressure_level`). */
  pressureLevel: number | null;
  chip: string | null;
};

export type AppleAccelerator = { inUseBytes: number | null; utilization: number | null };

export const APPLE_SYSCTLS = [
  'hw.memsize',
  'iogpu.wired_limit_mb',
  'kern.memorystatus_vm_pressure_level',
  'machdep.cpu.brand_string',
] as const;
/** `-w0`: without it ioreg cuts long lines to the width of a terminal that is not there. */
export const APPLE_IOREG_ARGUMENTS = ['-r', '-d1', '-w0', '-c', 'IOAccelerator'] as const;

/** `sysctl a b c` prints `name: value`, one a line; names that this macOS does not know are missing. */
export function parseSysctl(text: string): AppleMemory {
  const values = new Map(
    text.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
  );
  const number = (name: string): number | null => numberIn('', values.get(name) ?? '');
  return {
    memoryBytes: number('hw.memsize'),
    wiredLimitMib: number('iogpu.wired_limit_mb'),
    pressureLevel: number('kern.memorystatus_vm_pressure_level'),
    chip: values.get('machdep.cpu.brand_string') || null,
  };
}

/**
 * Reads `PerformanceStatistics` of every accelerator and gives the busiest. The device's utilisation counts, not the renderer's,
 * which stays near zero while a language model keeps the GPU full; and the memory in use by all, not by the driver, whose key
 * begins with the same words.
 */
export function parseIoreg(text: string): AppleAccelerator | null {
  const found = text
    .split('\n')
    .filter((line) => line.includes('"PerformanceStatistics"'))
    .map((line) => ({
      inUseBytes: statistic(line, 'In use system memory'),
      utilization: perCent(statistic(line, 'Device Utilization %')),
    }));
  return found.toSorted((a, b) => (b.utilization ?? -1) - (a.utilization ?? -1))[0] ?? null;
}

function statistic(line: string, key: string): number | null {
  const at = line.indexOf(`"${key}"=`);
  return at < 0 ? null : numberIn('', /^\d*/.exec(line.slice(at + key.length + 3))?.[0] ?? '');
}

const perCent = (value: number | null): number | null => (value === null ? null : Math.min(value / 100, 1));

const GiB = 2 ** 30;
const LARGE_MEMORY_BYTES = 36 * GiB;

/**
 * How much of the shared memory Metal lets the GPU work with (`recommendedMaxWorkingSetSize`), which no program prints: the limit the
 * owner set, else about two thirds of memory up to 36 GiB and three quarters above.
 */
export function workingSetBytes({
  memoryBytes,
  wiredLimitMib,
}: Pick<AppleMemory, 'memoryBytes' | 'wiredLimitMib'>): number | null {
  if (memoryBytes === null) return null;
  if (wiredLimitMib !== null && wiredLimitMib > 0) return Math.min(wiredLimitMib * 2 ** 20, memoryBytes);
  return Math.floor(memoryBytes <= LARGE_MEMORY_BYTES ? (memoryBytes * 2) / 3 : (memoryBytes * 3) / 4);
}

const CRITICAL_PRESSURE = 4;

/** The one GPU of an Apple chip. Under critical memory pressure nothing is free, whatever the difference says. */
export function appleGpu(memory: AppleMemory, accelerator: AppleAccelerator | null): Gpu {
  const total = workingSetBytes(memory);
  const used = accelerator?.inUseBytes ?? null;
  const difference = total === null || used === null ? null : Math.max(total - used, 0);
  return {
    id: 'apple-0',
    name: memory.chip ?? 'Apple GPU',
    vendor: 'apple',
    isUnifiedMemory: true,
    vramTotalBytes: total,
    vramUsedBytes: used,
    vramFreeBytes: memory.pressureLevel === CRITICAL_PRESSURE ? 0 : difference,
    utilization: accelerator?.utilization ?? null,
    // Only `powermetrics` knows these, and it wants root.
    temperatureCelsius: null,
    powerWatts: null,
    driverVersion: null,
  };
}
