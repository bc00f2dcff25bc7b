import type { Gpu } from '@lai/shared/node';
import { z } from 'zod';

const value = z.number().nonnegative().nullable();

/** What a mock engine answers on `GET /_mock/gpu`. */
export const MockGpu = z.object({
  name: z.string(),
  totalBytes: value,
  usedBytes: value,
  freeBytes: value,
  utilization: z.number().min(0).max(1).nullable(),
  temperatureCelsius: value,
  powerWatts: value,
});
export type MockGpu = z.infer<typeof MockGpu>;

/** Always `simulated`: nothing that shows this card may pass it off as real. */
export const simulatedGpu = (mock: MockGpu): Gpu => ({
  id: 'simulated-0',
  name: mock.name,
  vendor: 'simulated',
  isUnifiedMemory: false,
  vramTotalBytes: mock.totalBytes,
  vramUsedBytes: mock.usedBytes,
  vramFreeBytes: mock.freeBytes,
  utilization: mock.utilization,
  temperatureCelsius: mock.temperatureCelsius,
  powerWatts: mock.powerWatts,
  driverVersion: null,
});
