import { setTimeout as sleep } from 'node:timers/promises';
import type { Gpu } from '@lai/shared/node';
import type { GpuProbe, ProbeEnv, SystemMemory } from './gpu-probe.ts';
import { GpuReadings } from './gpu-readings.ts';
import { NvidiaInventory } from './nvidia-inventory.ts';
import type { NvidiaNews } from './nvidia-rounds.ts';
import { nvidiaSearchPath } from './nvidia-search-path.ts';
import { NvidiaStream } from './nvidia-stream.ts';

/** Two paths to one driver: a CSV stream for values every two seconds, the XML report for the programs on the card (see DESIGN.md). */
export async function startNvidiaProbe(env: ProbeEnv): Promise<GpuProbe | null> {
  const { timing, random } = env;
  const searchPath = await nvidiaSearchPath(env);
  const readings = new GpuReadings({ staleAfterMs: timing.staleAfterMs });
  const onNews = (news: NvidiaNews): void => {
    if (news.kind === 'card') readings.put([withSharedMemory(news.gpu, env.systemMemory())]);
    else readings.putAll(news.gpus.map((gpu) => withSharedMemory(gpu, env.systemMemory())));
  };
  const stream = new NvidiaStream({ searchPath, timing, random, onNews });
  const inventory = new NvidiaInventory({ searchPath, deadlineMs: timing.processesDeadlineMs, cacheMs: timing.processesCacheMs });

  const probe: GpuProbe = {
    vendor: 'nvidia',
    read: () => readings.read(),
    onChange: (listener) => readings.onChange(listener),
    processes: async (maxAgeMs) => {
      const tree = await inventory.read(maxAgeMs);
      if (tree.kind === 'unreadable') return null;
      const lists = tree.inventory.cards.map((card) => card.processes);
      return lists.includes(null) ? null : lists.flatMap((list) => list ?? []);
    },
    trouble: () => stream.trouble,
    close: async () => {
      readings.close();
      await Promise.all([stream.close(), inventory.close()]);
    },
  };

  const sight = await Promise.race([stream.firstSight, sleep(timing.detectMs, 'trouble' as const, { ref: false })]);
  if (sight !== 'absent') return probe;
  await probe.close();
  return null;
}

/** GB10 and Orin have no memory of their own, and nvidia-smi says of it what it says of everything that is not there. */
export const withSharedMemory = (gpu: Gpu, { totalBytes, freeBytes }: SystemMemory): Gpu =>
  gpu.isUnifiedMemory && !gpu.isLost
    ? { ...gpu, vramTotalBytes: totalBytes, vramUsedBytes: totalBytes - freeBytes, vramFreeBytes: freeBytes }
    : gpu;
