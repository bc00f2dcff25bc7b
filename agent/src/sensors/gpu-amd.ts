import { readAmdCards } from './amd-files.ts';
import { type AmdStatic, parseAmdMetric, parseAmdProcesses, parseAmdStatic } from './amd-smi-json.ts';
import { amdGpus, isAmdCard } from './amd-sysfs.ts';
import type { GpuProbe, GpuProcess, ProbeEnv } from './gpu-probe.ts';
import { GpuReadings } from './gpu-readings.ts';
import { startPoll } from './poll.ts';
import { remembered } from './remembered.ts';

/** amd-smi is a Python program that takes about a second of processor time; the files are free. */
const TOOL_EVERY_MS = 10_000;

/**
 * AMD on Linux: files of the kernel driver for values, and `amd-smi`, where it is installed, for names and processes. Without
 * readable files (containers) amd-smi gives the values too. Windows and macOS have neither, and get the honest "none".
 */
export async function startAmdProbe(env: ProbeEnv): Promise<GpuProbe | null> {
  if (env.platform !== 'linux') return null;
  const closing = new AbortController();
  const tool = async (args: readonly string[]): Promise<string | null> => {
    const { processesDeadlineMs: deadlineMs } = env.timing;
    const searchPath = `${env.environment['PATH'] ?? ''}:/opt/rocm/bin`;
    const outcome = await env.runCommand({
      file: 'amd-smi',
      args: [...args, '--json'],
      deadlineMs,
      signal: closing.signal,
      searchPath,
    });
    return outcome.kind === 'ran' && outcome.exitCode === 0 ? outcome.stdout : null;
  };

  const hasFiles = (await readAmdCards(env.sysfsRoot)).some(isAmdCard);
  /** Written once, when amd-smi has answered; nobody waits for names where the files give the values. */
  const known: { facts: AmdStatic | null } = { facts: null };
  const naming = tool(['static']).then((json) => {
    known.facts = parseAmdStatic(json ?? '');
  });
  if (!hasFiles) await naming;
  if (!hasFiles && known.facts === null) return null;

  const { timing } = env;
  const readings = new GpuReadings({
    staleAfterMs: hasFiles ? timing.staleAfterMs : Math.max(timing.staleAfterMs, 3 * TOOL_EVERY_MS),
  });
  const sampleFiles = async (): Promise<void> => {
    readings.put(amdGpus(await readAmdCards(env.sysfsRoot), known.facts?.names));
  };
  const sampleTool = async (): Promise<void> => {
    const gpus = parseAmdMetric((await tool(['metric'])) ?? '', known.facts);
    if (gpus === null) throw new Error('amd-smi metric gave no reading');
    readings.put(gpus);
  };
  const sample = hasFiles ? sampleFiles : sampleTool;
  let trouble: string | null = null;
  await sample().catch(() => {});
  const poll = startPoll({
    sample,
    everyMs: hasFiles ? timing.sampleEveryMs : Math.max(timing.sampleEveryMs, TOOL_EVERY_MS),
    deadlineMs: timing.processesDeadlineMs,
    onTrouble: (reason) => {
      trouble = reason;
    },
  });
  const processes = remembered<readonly GpuProcess[] | null>({
    ask: async () => parseAmdProcesses((await tool(['process'])) ?? '', known.facts),
    isGood: (list) => list !== null,
    keepMs: timing.processesCacheMs,
  });

  return {
    vendor: 'amd',
    read: () => readings.read(),
    onChange: (listener) => readings.onChange(listener),
    processes,
    trouble: () => trouble,
    close: async () => {
      readings.close();
      closing.abort();
      await Promise.all([poll.close(), naming]);
    },
  };
}
