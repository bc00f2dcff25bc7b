import os from 'node:os';
import { runCommand } from './command.ts';
import { startAmdProbe } from './gpu-amd.ts';
import { startAppleProbe } from './gpu-apple.ts';
import { startMockProbe } from './gpu-mock.ts';
import { noGpuProbe } from './gpu-none.ts';
import { startNvidiaProbe } from './gpu-nvidia.ts';
import { type GpuProbe, PROBE_TIMING, type ProbeEnv } from './gpu-probe.ts';

export type { GpuProbe, GpuProbeVendor, GpuProcess, ProbeEnv } from './gpu-probe.ts';

const systemMemory = () => ({ totalBytes: os.totalmem(), freeBytes: os.freemem() });

type Start = (env: ProbeEnv) => Promise<GpuProbe | null>;

/** In this order: a machine with an NVIDIA card and an integrated AMD one serves models from the NVIDIA card. */
const VENDORS: readonly Start[] = [startNvidiaProbe, startAmdProbe, startAppleProbe];

/** The surroundings of this process; `environment` is passed in because only the configuration reads `process.env`. */
export const probeEnv = (given: Pick<ProbeEnv, 'environment' | 'mockEngineUrl'> & Partial<ProbeEnv>): ProbeEnv => ({
  platform: process.platform,
  arch: process.arch,
  runCommand,
  sysfsRoot: '/sys',
  systemMemory,
  timing: PROBE_TIMING,
  random: Math.random,
  ...given,
});

/**
 * The first vendor that shows a GPU. A vendor program that is present and fails (driver missing, driver being updated) is kept
 * only when nobody else has a GPU: it goes on trying, and says what is wrong.
 */
export async function detectGpuProbe(env: ProbeEnv): Promise<GpuProbe> {
  if (env.mockEngineUrl !== null) return startMockProbe({ url: env.mockEngineUrl, timing: env.timing });
  let troubled: GpuProbe | null = null;
  for (const start of VENDORS) {
    const probe = await start(env);
    if (probe === null) continue;
    if (probe.read().length > 0) {
      await troubled?.close();
      return probe;
    }
    if (troubled === null) troubled = probe;
    else await probe.close();
  }
  return troubled ?? noGpuProbe;
}
