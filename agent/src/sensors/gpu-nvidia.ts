import { setTimeout as sleep } from 'node:timers/promises';
import type { GpuProbe, ProbeEnv } from './gpu-probe.ts';
import { GpuReadings } from './gpu-readings.ts';
import { NvidiaInventory } from './nvidia-inventory.ts';
import { nvidiaSearchPath } from './nvidia-search-path.ts';
import { NvidiaStream } from './nvidia-stream.ts';

/** Two paths to one driver: a CSV stream for values every two seconds, the XML report for the programs on the card (see DESIGN.md). */
export async function startNvidiaProbe(env: ProbeEnv): Promise<GpuProbe | null> {
  const { timing, random } = env;
  const searchPath = await nvidiaSearchPath(env);
  const readings = new GpuReadings({ staleAfterMs: timing.staleAfterMs });
  const stream = new NvidiaStream({ searchPath, timing, random, onReading: (gpu) => readings.put([gpu]) });
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
