import type { Gpu } from '@lai/shared/node';
import { bytesOf, fractionOf, numberIn, wordOf } from './quantity.ts';

/** The text of one card's files under `/sys/class/drm/card*\/device`; null where a file is missing or refuses to be read. */
export type AmdCardFiles = {
  vendor: string | null;
  uevent: string | null;
  productName: string | null;
  /** Bytes. */
  vramTotal: string | null;
  vramUsed: string | null;
  /** System memory that the GPU may map; on an integrated GPU this is where large models live. Bytes. */
  gttTotal: string | null;
  gttUsed: string | null;
  /** Per cent. */
  busy: string | null;
  /** Thousandths of a degree. */
  temperature: string | null;
  /** Millionths of a watt; newer chips have only `input`. */
  powerAverage: string | null;
  powerInput: string | null;
  fan: string | null;
};

/** What `amd-smi static` adds, found by bus address. */
export type AmdNames = ReadonlyMap<string, { name: string | null; driverVersion: string | null }>;

const AMD_VENDOR = '0x1002';
const GiB = 2 ** 30;
/** The carve-out of an integrated GPU is small beside the system memory that it may map. */
const CARVE_OUT_LIMIT_BYTES = 4 * GiB;
const MAPPED_PER_CARVE_OUT = 4;

export const isAmdCard = (files: AmdCardFiles): boolean => files.vendor?.trim() === AMD_VENDOR && files.vramTotal !== null;

/** Turns the files of all cards into GPUs. An integrated GPU counts with the memory it shares only where there is no card of its own. */
export function amdGpus(cards: readonly AmdCardFiles[], names: AmdNames = new Map()): readonly Gpu[] {
  const amd = cards.filter(isAmdCard);
  const hasDiscrete = amd.some((card) => !isIntegrated(card));
  return amd.map((card, index) => gpuOf(card, { index, names, isUnified: !hasDiscrete && isIntegrated(card) }));
}

function gpuOf(files: AmdCardFiles, at: { index: number; names: AmdNames; isUnified: boolean }): Gpu {
  const slot = ueventValue(files.uevent, 'PCI_SLOT_NAME');
  const known = at.names.get(slot ?? '');
  const own = { total: bytes(files.vramTotal), used: bytes(files.vramUsed) };
  const total = at.isUnified ? sum(own.total, bytes(files.gttTotal)) : own.total;
  const used = at.isUnified ? sum(own.used, bytes(files.gttUsed)) : own.used;
  return {
    id: `amd-${slot ?? at.index}`,
    name: wordOf(files.productName ?? '') ?? known?.name ?? nameFromIds(files.uevent),
    vendor: 'amd',
    isUnifiedMemory: at.isUnified,
    vramTotalBytes: total,
    vramUsedBytes: used,
    vramFreeBytes: total === null || used === null ? null : Math.max(total - used, 0),
    utilization: fractionOf(files.busy ?? ''),
    temperatureCelsius: scaled(files.temperature, 1e-3),
    powerWatts: scaled(files.powerAverage, 1e-6) ?? scaled(files.powerInput, 1e-6),
    driverVersion: known?.driverVersion ?? null,
  };
}

function isIntegrated(files: AmdCardFiles): boolean {
  const vram = bytes(files.vramTotal);
  const mapped = bytes(files.gttTotal);
  if (vram === null || mapped === null || files.fan !== null) return false;
  return vram <= CARVE_OUT_LIMIT_BYTES && mapped >= vram * MAPPED_PER_CARVE_OUT;
}

const bytes = (text: string | null): number | null => bytesOf(text ?? '');
const sum = (a: number | null, b: number | null): number | null => (a === null || b === null ? null : a + b);

function scaled(text: string | null, factor: number): number | null {
  const value = numberIn('', text ?? '');
  return value === null ? null : Math.round(value * factor * 100) / 100;
}

function ueventValue(uevent: string | null, key: string): string | null {
  const line = uevent?.split('\n').find((row) => row.startsWith(`${key}=`));
  return line === undefined ? null : wordOf(line.slice(key.length + 1));
}

const nameFromIds = (uevent: string | null): string => {
  const ids = ueventValue(uevent, 'PCI_ID');
  return ids === null ? 'AMD GPU' : `AMD GPU (${ids})`;
};
