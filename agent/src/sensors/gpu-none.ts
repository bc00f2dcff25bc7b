import type { GpuProbe } from './gpu-probe.ts';

/** No GPU that we can read. It says so and invents nothing: models still run on the CPU here. */
export const noGpuProbe: GpuProbe = {
  vendor: 'none',
  read: () => [],
  onChange: () => () => {},
  processes: async () => null,
  trouble: () => null,
  close: async () => {},
};
