import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { AmdCardFiles } from './amd-sysfs.ts';

const CARD = /^card\d+$/;

/** Reads the files of every card. The one place that knows where amdgpu keeps what. */
export async function readAmdCards(sysfsRoot: string): Promise<readonly AmdCardFiles[]> {
  const folder = path.join(sysfsRoot, 'class', 'drm');
  const names = await readdir(folder).catch(() => []);
  return Promise.all(
    names
      .filter((name) => CARD.test(name))
      .toSorted(byNumber)
      .map((name) => readCard(path.join(folder, name, 'device'))),
  );
}

const byNumber = (a: string, b: string): number => Number(a.slice('card'.length)) - Number(b.slice('card'.length));

async function readCard(device: string): Promise<AmdCardFiles> {
  const at = (name: string): Promise<string | null> => textOf(path.join(device, name));
  const hwmon = await hwmonFolder(device);
  // The sensors of a card that sleeps (laptops) would wake it, and every two seconds keep it awake; the memory counters do not.
  const isAsleep = (await at('power/runtime_status'))?.trim() === 'suspended';
  const sensor = (name: string): Promise<string | null> =>
    isAsleep || hwmon === null ? Promise.resolve(null) : at(`hwmon/${hwmon}/${name}`);
  return {
    vendor: await at('vendor'),
    uevent: await at('uevent'),
    productName: await at('product_name'),
    vramTotal: await at('mem_info_vram_total'),
    vramUsed: await at('mem_info_vram_used'),
    gttTotal: await at('mem_info_gtt_total'),
    gttUsed: await at('mem_info_gtt_used'),
    busy: isAsleep ? null : await at('gpu_busy_percent'),
    temperature: await sensor('temp1_input'),
    powerAverage: await sensor('power1_average'),
    powerInput: await sensor('power1_input'),
    fan: await sensor('fan1_input'),
  };
}

const hwmonFolder = async (device: string): Promise<string | null> =>
  (await readdir(path.join(device, 'hwmon')).catch(() => [])).find((name) => name.startsWith('hwmon')) ?? null;

const textOf = (file: string): Promise<string | null> => readFile(file, 'utf8').catch(() => null);
