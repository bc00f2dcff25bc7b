import { statfs } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { within } from './within.ts';

/** What a machine is. Read once: several of these start PowerShell on Windows and `system_profiler` on a Mac. */
export type HostInventory = {
  platform: NodeJS.Platform;
  /** The kernel's version, as in `NodeSnapshot.os`. */
  release: string;
  arch: string;
  /** For people: `Debian GNU/Linux 12`, `macOS Sequoia 15.1`, `Microsoft Windows 11 Pro`. */
  systemName: string | null;
  cpuName: string | null;
  cpuThreads: number;
  memoryTotalBytes: number;
  /** Maker and model: `Apple Macmini9,1`, `ASUS ROG STRIX B550-F`. */
  machineModel: string | null;
};

const INVENTORY_WITHIN_MS = 15_000;
const DISK_WITHIN_MS = 2_000;

/**
 * Never fails; what cannot be had in time is null. Only calls of `systeminformation` that wait without blocking belong here: its
 * `graphics()` runs nvidia-smi with execFileSync, and stops every token stream of the agent meanwhile.
 */
export async function readHostInventory(): Promise<HostInventory> {
  const { default: systeminformation } = await import('systeminformation');
  const [cpu, system, distribution] = await Promise.all([
    within(INVENTORY_WITHIN_MS, systeminformation.cpu()),
    within(INVENTORY_WITHIN_MS, systeminformation.system()),
    within(INVENTORY_WITHIN_MS, systeminformation.osInfo()),
  ]);
  return {
    platform: process.platform,
    release: os.release(),
    arch: process.arch,
    systemName: words(
      distribution?.distro,
      distribution?.codename && process.platform === 'darwin' ? distribution.codename : '',
      distribution?.release,
    ),
    cpuName: words(cpu?.manufacturer, cpu?.brand) ?? os.cpus()[0]?.model ?? null,
    cpuThreads: os.availableParallelism(),
    memoryTotalBytes: os.totalmem(),
    machineModel: words(system?.manufacturer, system?.model),
  };
}

/** Cheap enough for every snapshot: two system calls. */
export const readMemory = (): { totalBytes: number; freeBytes: number } => ({
  totalBytes: os.totalmem(),
  freeBytes: os.freemem(),
});

/**
 * Bytes that we may still write where `directory` is, or will be: a runtime makes its model folder with the first model, so the
 * nearest folder that exists answers. Null when nothing answers in time.
 */
export async function readDiskFree(directory: string): Promise<number | null> {
  for (let folder = path.resolve(directory); ; folder = path.dirname(folder)) {
    const free = await within(DISK_WITHIN_MS, freeBytesAt(folder));
    if (free === null) return null;
    if (free !== 'missing') return free;
    if (folder === path.dirname(folder)) return null;
  }
}

async function freeBytesAt(folder: string): Promise<number | 'missing'> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 'missing';
    throw error;
  }
}

/** Firmware fills unknown fields with words that mean nothing. */
const PLACEHOLDERS = new Set([
  '',
  'unknown',
  'to be filled by o.e.m.',
  'default string',
  'system product name',
  'system manufacturer',
  'not specified',
]);

export function words(...parts: readonly (string | undefined)[]): string | null {
  const known = parts.map((part) => part?.trim() ?? '').filter((part) => !PLACEHOLDERS.has(part.toLowerCase()));
  return known.length === 0 ? null : known.join(' ');
}
