import { Gpu } from '@lai/shared/node';
import { afterEach, describe, expect, it } from 'vitest';
import type { GpuProbe } from './gpu-probe.ts';

/** What every GPU probe keeps, whoever made the GPU. `start` gives a fresh probe that shows a GPU soon, if `showsGpu`. */
export function probeConformance(name: string, plug: { start: () => Promise<GpuProbe | null>; showsGpu: boolean }): void {
  describe(`the ${name} probe, as every probe`, () => {
    let probe: GpuProbe | null = null;
    const started = async (): Promise<GpuProbe> => {
      probe = await plug.start();
      if (probe === null) throw new Error('it found nothing to probe');
      return probe;
    };

    afterEach(async () => {
      await probe?.close();
      probe = null;
    });

    it('answers read() at once, with readings that the contract accepts', async () => {
      const { read, vendor } = await started();
      if (plug.showsGpu) await expect.poll(() => read().length, { timeout: 4_000 }).toBeGreaterThan(0);
      for (const gpu of read()) expect(Gpu.parse(gpu).vendor).toBe(vendor);
      expect(new Set(read().map((gpu) => gpu.id)).size).toBe(read().length);
    });

    it('never rejects when asked for processes, not even while it is closing or closed', async () => {
      const { processes, close } = await started();
      const asked = processes(0);
      await close();
      for (const list of [await asked, await processes(0)]) {
        expect(list === null || Array.isArray(list)).toBe(true);
      }
    });

    it('closes twice, and tells nobody of anything afterwards', async () => {
      const { onChange, close } = await started();
      let told = 0;
      onChange(() => {
        told += 1;
      });
      await close();
      const toldBefore = told;
      await close();
      await new Promise((later) => setTimeout(later, 150));
      expect(told).toBe(toldBefore);
    });
  });
}
