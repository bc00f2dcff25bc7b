import { APPLE_IOREG_ARGUMENTS, APPLE_SYSCTLS, appleGpu, parseIoreg, parseSysctl } from './apple-text.ts';
import type { GpuProbe, ProbeEnv } from './gpu-probe.ts';
import { GpuReadings } from './gpu-readings.ts';
import { startPoll } from './poll.ts';

const COMMAND_WITHIN_MS = 1_500;

/** Apple silicon through two small programs of macOS. Intel Macs get the honest "none": no runtime of ours uses their GPUs. */
export async function startAppleProbe(env: ProbeEnv): Promise<GpuProbe | null> {
  if (env.platform !== 'darwin' || env.arch !== 'arm64') return null;
  const { timing } = env;
  const readings = new GpuReadings({ staleAfterMs: timing.staleAfterMs });
  const searchPath = `${env.environment['PATH'] ?? ''}:/usr/sbin:/sbin`;
  const textOf = async (file: string, args: readonly string[], signal: AbortSignal): Promise<string> => {
    const outcome = await env.runCommand({ file, args, deadlineMs: COMMAND_WITHIN_MS, signal, searchPath });
    // sysctl fails when it does not know one of the names, having printed the others.
    return outcome.kind === 'ran' ? outcome.stdout : '';
  };
  const sample = async (signal: AbortSignal): Promise<void> => {
    const [sysctl, ioreg] = await Promise.all([
      textOf('sysctl', APPLE_SYSCTLS, signal),
      textOf('ioreg', APPLE_IOREG_ARGUMENTS, signal),
    ]);
    const memory = parseSysctl(sysctl);
    if (memory.memoryBytes === null) throw new Error('sysctl did not tell the size of memory.');
    readings.put([appleGpu(memory, parseIoreg(ioreg))]);
  };
  let trouble: string | null = null;
  await sample(AbortSignal.timeout(timing.detectMs)).catch((error: Error) => {
    trouble = error.message;
  });
  const poll = startPoll({
    sample,
    everyMs: timing.sampleEveryMs,
    deadlineMs: 2 * COMMAND_WITHIN_MS,
    onTrouble: (reason) => {
      trouble = reason;
    },
  });
  return {
    vendor: 'apple',
    read: () => readings.read(),
    onChange: (listener) => readings.onChange(listener),
    // macOS tells nobody without root which program holds how much of the GPU.
    processes: async () => null,
    trouble: () => trouble,
    close: async () => {
      readings.close();
      await poll.close();
    },
  };
}
